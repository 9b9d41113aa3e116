"""Single layers in PyTorch, channels_last: forward, and with backward. One JSON line each.

torchvision's RoIAlign computes every bin: where ours has a step, those it leaves are taken after."""

import argparse

import common

if __name__ == "__main__":
    common.tune_environment()

import torch
from torch.nn import functional as F
from torchvision.ops import roi_align

CL = torch.channels_last


def image(n, c, size):
    return torch.randn(n, c, size, size).contiguous(memory_format=CL)


def conv(n, c, k, kernel, stride, size):
    x = image(n, c, size).requires_grad_(c != 3)  # images need no gradient
    w = torch.randn(k, c, kernel, kernel).contiguous(memory_format=CL).requires_grad_()
    multiply_adds = n * k * c * kernel**2 * (-(-size // stride)) ** 2
    return lambda: F.conv2d(x, w, None, stride, kernel // 2), [x, w], 2 * multiply_adds


def batch_norm(n, c, size):
    x, g, b = image(n, c, size).requires_grad_(), torch.ones(c), torch.zeros(c)
    g.requires_grad_(), b.requires_grad_()
    mean, var = torch.zeros(c), torch.ones(c)
    return lambda: F.batch_norm(x, mean, var, g, b, True), [x, g, b], None


def max_pool(n, c, size):
    x = image(n, c, size).requires_grad_()
    return lambda: F.max_pool2d(x, 3, 2, 1), [x], None


def linear(n, c, k):
    x, w = torch.randn(n, c).requires_grad_(), torch.randn(k, c).requires_grad_()
    return lambda: F.linear(x, w), [x, w], 2 * n * c * k


def norm_add_relu(n, c, size):
    norm, leaves, _ = batch_norm(n, c, size)
    residual = image(n, c, size).requires_grad_()
    return lambda: F.relu(norm() + residual), [*leaves, residual], None


def regions(n, height, width):
    """As in benchmarks/layers_bench.cpp."""
    number = torch.arange(n, dtype=torch.float64)
    spread = lambda by: (number * by + 0.5) % 1
    side, shape = 32 * 2 ** (4 * spread(0.754877666)), 2 ** (spread(0.569840291) - 0.5)
    x, y = width * spread(0.618033989), height * spread(0.414213562)
    half_x, half_y = side * shape / 2, side / shape / 2
    xs = [(x - half_x).clamp(0, width), (x + half_x).clamp(0, width)]
    ys = [(y - half_y).clamp(0, height), (y + half_y).clamp(0, height)]
    return torch.stack([torch.zeros(n), xs[0], ys[0], xs[1], ys[1]], 1).float()


def roi(c, height, width, n, step=1):
    x = torch.randn(1, c, height, width).contiguous(memory_format=CL).requires_grad_()
    boxes = regions(n, 16 * height, 16 * width)
    pool = lambda: roi_align(x, boxes, 14, 1 / 16, 0, aligned=True)
    return (pool if step == 1 else lambda: pool()[:, :, ::step, ::step]), [x], None


LAYERS = {
    "conv3x3_64_64_56": lambda n: conv(n, 64, 64, 3, 1, 56),
    "conv1x1_256_64_56": lambda n: conv(n, 256, 64, 1, 1, 56),
    "conv7x7s2_3_64_224": lambda n: conv(n, 3, 64, 7, 2, 224),
    "conv3x3s2_128_128_56": lambda n: conv(n, 128, 128, 3, 2, 56),
    "conv3x3_512_512_7": lambda n: conv(n, 512, 512, 3, 1, 7),
    "batch_norm_256_56": lambda n: batch_norm(n, 256, 56),
    "batch_norm_add_relu_256_56": lambda n: norm_add_relu(n, 256, 56),
    "max_pool3x3s2_64_112": lambda n: max_pool(n, 64, 112),
    "linear_2048_2048": lambda n: linear(4 * n, 2048, 2048),
    "roi_align_1024_30x40_512": lambda n: roi(1024, 30, 40, 512),
    "roi_align_512_30x40_512": lambda n: roi(512, 30, 40, 512),
    "roi_align_2048_30x40_512_step2": lambda n: roi(2048, 30, 40, 512, 2),
    "roi_align_1024_50x67_1000": lambda n: roi(1024, 50, 67, 1000),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layer", choices=list(LAYERS), nargs="*", default=list(LAYERS))
    parser.add_argument("--batch-size", type=int, default=32)
    common.add_common_arguments(parser, repeats=9)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    for name in args.layer:
        forward, leaves, flops = LAYERS[name](args.batch_size)
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        seed = torch.randn_like(forward())
        for what in ("forward", "forward+backward"):

            def work():
                if what == "forward":
                    with torch.no_grad():
                        forward()
                else:
                    torch.autograd.grad(forward(), wanted, seed)

            times = common.measure(work, args.repeats, args.warm_up)
            passes = 1 if what == "forward" else 1 + len(wanted)
            more = {"gflops": passes * flops / min(times) / 1e6} if flops else {}
            common.report(times, args.batch_size, layer=name, what=what, **more)


if __name__ == "__main__":
    main()
