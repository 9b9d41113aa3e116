#!/usr/bin/env python3
"""Holds the network and its files against torchvision.

A ResNet-50 of random weights, saved by torch: the pooled features of `invp extract` must equal
PyTorch's, and the file that `invp convert` writes must load with strict=True, bit for bit. Needs
torch, torchvision, Pillow and safetensors.
"""

import pathlib
import sys
import tempfile

import numpy
import torch
from PIL import Image
from safetensors.torch import load_file
from torchvision import datasets, models, transforms

sys.dont_write_bytecode = True
import program

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def random_network(name):
    """Random weights whose running statistics are those of data, so that activations stay sane."""
    net = models.get_model(name, weights=None)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
                module.momentum = None  # a plain average
        net.train()(torch.randn(8, 3, 96, 96))
    return net.eval()


def write_images(root, count):
    """An ImageFolder of smooth random pictures of many sizes, landscape and portrait."""
    rng = numpy.random.default_rng(0)
    for number in range(count):
        size = tuple(int(s) for s in rng.integers(180, 420, 2))
        coarse = rng.integers(0, 256, (9, 9, 3), dtype=numpy.uint8)
        folder = root / "train" / f"class{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(
            folder / f"{number:03}.png"
        )


def torch_features(net, root):
    prepare = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    images = datasets.ImageFolder(root / "train", prepare)
    pooled = torch.nn.Sequential(*list(net.children())[:-1], torch.nn.Flatten())
    with torch.no_grad():
        features = torch.cat([pooled(images[i][0][None]) for i in range(len(images))])
    return features, torch.tensor(images.targets)


def check_features(score, args, net, folder, checkpoint):
    write_images(folder / "images", args.images)
    wanted, labels = torch_features(net, folder / "images")
    target = folder / "features.safetensors"
    program.run(
        args.invp, "extract", "--checkpoint", checkpoint, "--arch", args.arch, "--data",
        folder / "images", "--split", "train", "--layer", "pool", "--to", target, "--json",
    )  # fmt: skip
    got = load_file(target)
    order = got["indices"].argsort()
    features = got["features"][order].double()
    if features.shape != wanted.shape:
        score.fail(f"features: {list(features.shape)}, wanted {list(wanted.shape)}")
        return
    errors = (features - wanted).norm(dim=1) / wanted.norm(dim=1)
    score.check("features", float(errors.max()), 1e-4)
    score.check("labels", float((got["labels"][order] != labels).sum()), 0.5)


def check_convert(score, args, net, folder, checkpoint):
    state = net.state_dict()
    for name in ("there.safetensors", "back.pth"):
        source = checkpoint if name.startswith("there") else folder / "there.safetensors"
        target = folder / name
        program.run(args.invp, "convert", source, "--to", target, "--json")
        got = (
            load_file(target)
            if name.endswith("safetensors")
            else torch.load(target, weights_only=True)
        )
        models.get_model(args.arch, weights=None).load_state_dict(got, strict=True)
        unequal = sum(not torch.equal(got[key], state[key]) for key in state)
        score.check(f"convert {name}", float(unequal), 0.5, "tensors changed")


def main():
    parser = program.parser(__doc__)
    parser.add_argument("--arch", default="resnet50", choices=["resnet18", "resnet34", "resnet50"])
    parser.add_argument("--images", type=int, default=9)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    net = random_network(args.arch)
    score = program.Score()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        checkpoint = folder / "random.pth"
        torch.save(net.state_dict(), checkpoint)
        for part in (check_convert, check_features):
            try:
                part(score, args, net, folder, checkpoint)
            except RuntimeError as error:
                score.fail(f"{part.__name__}: {error}")
    score.finish()


if __name__ == "__main__":
    main()
