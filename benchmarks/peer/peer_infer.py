"""Features of random images in PyTorch: evaluation mode, no gradient."""

import argparse
import os

import common

if __name__ == "__main__":
    common.tune_environment()

import torch

import networks


def prepared(net, images, mode):
    """`script` folds batch norm and packs the weights into oneDNN's layout; `compile` freezes the
    weights into the generated program, which folds and packs too."""
    if mode == "script":
        frozen = torch.jit.freeze(torch.jit.trace(net, images))
        return torch.jit.optimize_for_inference(frozen)
    if mode == "compile":
        os.environ["TORCHINDUCTOR_FREEZING"] = "1"
        return torch.compile(net)
    return net


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    networks.add_network_arguments(parser, arch="resnet50", batch_size=32, image_size=224)
    parser.add_argument("--mode", choices=["eager", "script", "compile"], default="script")
    common.add_common_arguments(parser)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    images = networks.random_images(args)
    with torch.inference_mode() if args.mode == "eager" else torch.no_grad():
        net = prepared(networks.build(args).eval(), images, args.mode)
        times = common.measure(lambda: net(images), args.repeats, args.warm_up)
    common.report(times, args.batch_size, mode=args.mode)


if __name__ == "__main__":
    main()
