"""The learning reference: InvP pretraining on CIFAR records in PyTorch, kNN after each epoch.

Not a benchmark of speed but of what is learned: `invp pretrain` on the same records must follow its
curve. One JSON line an epoch, as in metrics.jsonl.
"""

import argparse
import itertools
import json
import math
import pathlib
import time

import common

if __name__ == "__main__":
    common.tune_environment()

import torch
from torch.nn import functional as F

import networks
import objective

MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
STD = torch.tensor([0.2023, 0.1994, 0.2010]).view(1, 3, 1, 1)
LUMA = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
SIZE = 32


def read_records(path):
    """Images [n, 3, 32, 32] in [0, 1] and labels of a CIFAR-10 binary file."""
    raw = torch.frombuffer(bytearray(pathlib.Path(path).read_bytes()), dtype=torch.uint8)
    records = raw.view(-1, 1 + 3 * SIZE * SIZE)
    return records[:, 1:].reshape(-1, 3, SIZE, SIZE).float() / 255, records[:, 0].long()


def crop_boxes(n, scale=(0.2, 1.0), ratio=(3 / 4, 4 / 3), attempts=10):
    """Top, left, height, width of n random resized crops; the whole image after ten failures."""
    area = SIZE * SIZE * torch.empty(n, attempts).uniform_(*scale)
    aspect = torch.exp(torch.empty(n, attempts).uniform_(math.log(ratio[0]), math.log(ratio[1])))
    width, height = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (width > 0) & (width <= SIZE) & (height > 0) & (height <= SIZE)
    first = fits.int().argmax(1, keepdim=True)
    found = fits.any(1)
    width = torch.where(found, width.gather(1, first)[:, 0], float(SIZE))
    height = torch.where(found, height.gather(1, first)[:, 0], float(SIZE))
    top = (torch.rand(n) * (SIZE - height + 1)).floor()
    left = (torch.rand(n) * (SIZE - width + 1)).floor()
    return top, left, height, width


def interpolation(start, length):
    """[n, 32, 32]: each row the bilinear weights of one output pixel, none outside the crop."""
    out, source = torch.arange(SIZE).view(1, SIZE, 1), torch.arange(SIZE).view(1, 1, SIZE)
    start, length = start.view(-1, 1, 1), length.view(-1, 1, 1)
    centre = start + (out + 0.5) * length / SIZE
    weights = (1 - (source + 0.5 - centre).abs()).clamp_(min=0)
    weights *= (source >= start) & (source < start + length)
    return weights / weights.sum(2, keepdim=True)


def resized_crop(images):
    top, left, height, width = crop_boxes(len(images))
    rows, columns = interpolation(top, height), interpolation(left, width)
    return rows[:, None] @ images @ columns[:, None].transpose(2, 3)


def blend(images, other, factor):
    return (other + factor * (images - other)).clamp_(0, 1)


def shift_hue(images, shift):
    """Turns the hue of RGB images by `shift` (in turns), through HSV."""
    top, which = images.max(1)
    spread = top - images.amin(1)
    safe = torch.where(spread > 0, spread, 1.0)
    r, g, b = images.unbind(1)
    hue = torch.where(
        which == 0, (g - b) / safe, torch.where(which == 1, 2 + (b - r) / safe, 4 + (r - g) / safe)
    )
    hue = (hue / 6 + shift[:, 0]) % 1
    # each channel is a trapezoid wave of the hue: 1 near its own primary, 0 on the far side
    offsets = torch.tensor([5.0, 3.0, 1.0]).view(1, 3, 1, 1)
    phase = (offsets + 6 * hue[:, None]) % 6
    wave = torch.minimum(phase, 4 - phase).clamp_(0, 1)
    return (top[:, None] - spread[:, None] * wave).clamp_(0, 1)


def jitter(images, strength=0.4):
    """Brightness, contrast, saturation and hue, in an order drawn for each image."""
    n = len(images)
    factors = torch.empty(3, n, 1, 1, 1).uniform_(1 - strength, 1 + strength)
    turns = torch.empty(n, 1, 1, 1).uniform_(-strength, strength)
    order = torch.rand(n, 4).argsort(1)

    def gray(x):
        return (x * LUMA).sum(1, keepdim=True)

    operations = [
        lambda x, i: blend(x, torch.zeros(()), factors[0, i]),
        lambda x, i: blend(x, gray(x).mean((1, 2, 3), keepdim=True), factors[1, i]),
        lambda x, i: blend(x, gray(x), factors[2, i]),
        lambda x, i: shift_hue(x, turns[i]),
    ]
    for place, kind in itertools.product(range(4), range(4)):
        chosen = (order[:, place] == kind).nonzero()[:, 0]
        if len(chosen):
            images[chosen] = operations[kind](images[chosen], chosen)
    return images


def augment(images):
    images = jitter(resized_crop(images))
    gray = (torch.rand(len(images), 1, 1, 1) < 0.2).float()
    images = images + gray * ((images * LUMA).sum(1, keepdim=True) - images)
    flipped = torch.rand(len(images), 1, 1, 1) < 0.5
    return torch.where(flipped, images.flip(3), images)


def network_input(images):
    return ((images - MEAN) / STD).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def embed(net, images, batch=500):
    net.eval()
    parts = [F.normalize(net(network_input(part)), dim=1) for part in images.split(batch)]
    net.train()
    return torch.cat(parts)


def knn_top1(features, labels, bank, bank_labels, k=200, tau=0.07, classes=10):
    similarity, rows = (features @ bank.t()).topk(k, dim=1)
    scores = torch.zeros(len(features), classes)
    scores.scatter_add_(1, bank_labels[rows], torch.exp(similarity / tau))
    return (scores.argmax(1) == labels).float().mean().item()


def centre(net, images):
    """Sets the last bias so that the first outputs have mean zero: without it an untrained network
    sends every image in nearly one direction."""
    with torch.no_grad():
        last = net.fc if isinstance(net.fc, torch.nn.Linear) else net.fc[-1]
        last.bias -= torch.cat([net(network_input(part)) for part in images.split(500)]).mean(0)


def train(args):
    torch.manual_seed(args.seed)
    images, labels = read_records(f"{args.data}/train.bin")
    test_images, test_labels = read_records(f"{args.data}/test.bin")
    if args.limit:
        images, labels = images[: args.limit], labels[: args.limit]
    net = networks.build(args).train()
    memory = objective.Memory(len(images), args.dim)
    if args.centred:
        centre(net, images[:2000])
        memory.bank = embed(net, images)
    optimiser = torch.optim.SGD(
        net.parameters(), lr=args.lr, momentum=0.9, weight_decay=5e-4, fused=True
    )
    settings = objective.Settings(tau=args.tau, hard_positives=args.hard_positives)
    settings.background = min(4096, len(images))
    for epoch in range(1, args.epochs + 1):
        start, losses = time.perf_counter(), []
        settings.lam = args.lam if epoch > args.warm_epochs else 0.0
        for group in optimiser.param_groups:
            group["lr"] = args.lr * 0.5 * (1 + math.cos(math.pi * (epoch - 1) / args.epochs))
        for indices in torch.randperm(len(images)).split(args.batch_size):
            features = F.normalize(net(network_input(augment(images[indices]))), dim=1)
            loss, nearest = objective.lean(features, indices, memory, settings)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                memory.refresh(indices, nearest)
                memory.update(indices, features.detach(), settings.bank_momentum)
            losses.append(loss.item() * len(indices))
        seconds = time.perf_counter() - start
        top1 = knn_top1(embed(net, test_images), test_labels, memory.bank, labels)
        line = {
            "epoch": epoch,
            "loss": sum(losses) / len(images),
            "knn_top1": top1,
            "seconds": seconds,
        }
        print(json.dumps(line), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with train.bin and test.bin")
    networks.add_network_arguments(parser)
    parser.set_defaults(width=16)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--lr", type=float, default=0.03)
    parser.add_argument("--tau", type=float, default=0.07)
    parser.add_argument("--lam", type=float, default=0.6, help="0: the instance loss alone")
    parser.add_argument("--warm-epochs", type=int, default=5)
    parser.add_argument("--hard-positives", type=int, default=20)
    parser.add_argument(
        "--centred", action="store_true", help="mean-zero first outputs, bank of features"
    )
    parser.add_argument("--limit", type=int, help="train on the first N records only")
    common.add_common_arguments(parser)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
