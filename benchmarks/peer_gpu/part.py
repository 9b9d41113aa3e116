#!/usr/bin/env python3
"""One piece of work in PyTorch on one device, in a process that stays warm.

Prepares (compiles, tunes, captures), prints {"ready": ...}, then measures once for every line it
reads and prints the result, so that it can take turns with another program on the same GPU. Without
--serve it measures once and ends.

    part.py step --mode compile-graph --arch resnet50 --batch-size 256 --image-size 224
"""

import argparse
import json
import statistics
import sys
import time

import torch

import work
from work import networks

# How the work is run. In `graph` forms the whole piece is one CUDA graph.
MODES = {
    "eager": None,
    "graph": None,
    "compile": "max-autotune",
    "compile-graph": "max-autotune-no-cudagraphs",
    "reduce-overhead": "reduce-overhead",
}


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["ceilings", *work.PARTS])
    parser.add_argument("--mode", choices=list(MODES), default="graph")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    networks.add_network_arguments(parser, "resnet50", 128, 224)
    parser.add_argument("--bank", type=int, default=1281167)
    parser.add_argument("--background", type=int, default=4096)
    parser.add_argument("--hard-positives", type=int, default=50)
    parser.add_argument("--queries", type=int, default=50000)
    parser.add_argument("--k", type=int, default=200)
    parser.add_argument("--chunk", type=int, default=1024, help="queries a product (knn)")
    parser.add_argument("--selection", choices=list(work.SELECTIONS), default="topk")
    parser.add_argument(
        "--similarity",
        choices=["fp32", "tf32", "bf16"],
        default="tf32",
        help="of products with the bank; ours is fp32",
    )
    parser.add_argument("--windows", type=int, default=5, help="the median of them counts")
    parser.add_argument("--steps", type=int, default=50, help="a window")
    parser.add_argument("--warm-up", type=int, default=50, help="steps before the first window")
    parser.add_argument("--serve", action="store_true", help="a measurement for each line read")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def say(result):
    print(json.dumps(result), flush=True)


class Clock:
    """Milliseconds of a window: events on a GPU, the wall on a CPU."""

    def __init__(self, device):
        self.gpu = device.type == "cuda"

    def __call__(self, body):
        if not self.gpu:
            start = time.perf_counter()
            body()
            return 1e3 * (time.perf_counter() - start)
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        body()
        last.record()
        last.synchronize()
        return first.elapsed_time(last)


def captured(piece, warm_up=3):
    """The piece as one CUDA graph. Libraries load and tune themselves in calls before."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(warm_up):
            piece()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        piece()
    return graph.replay


def prepared(piece, args):
    mode = MODES[args.mode]
    if mode and hasattr(piece, "run"):
        piece.run = torch.compile(piece.run, mode=mode)
        torch._dynamo.mark_static_address(piece.images)  # or its graphs copy them
    if mode and hasattr(piece, "objective"):
        # graphs of its own would copy the bank, which they take for an input, at every call
        piece.objective = torch.compile(piece.objective, mode="max-autotune-no-cudagraphs")
    if args.mode in ("graph", "compile-graph"):
        return captured(piece)
    if mode is None:
        return piece

    def marked():
        torch.compiler.cudagraph_mark_step_begin()
        piece()

    return marked


def ceilings(device):
    """What the card gives at most: a large copy, and a large product in bf16."""
    clock, gpu = Clock(device), device.type == "cuda"
    source = torch.empty((1 << 30) if gpu else (1 << 24), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    side = 8192 if gpu else 256
    a, b = (torch.randn(side, side, device=device).bfloat16() for _ in range(2))
    best = {}
    for name, body, amount in (
        ("copy_gigabytes_per_second", lambda: target.copy_(source), 2 * source.numel() / 1e6),
        ("bf16_tflops", lambda: torch.mm(a, b), 2 * side**3 / 1e9),
    ):
        for _ in range(3):
            body()
        best[name] = max(amount / clock(body) for _ in range(20))
    return best


def environment(device):
    about = {"torch": torch.__version__, "device": str(device)}
    if device.type == "cuda":
        about.update(
            gpu=torch.cuda.get_device_name(device),
            cuda=torch.version.cuda,
            cudnn=torch.backends.cudnn.version(),
        )
    return about


def main():
    args = arguments()
    device = torch.device(args.device)
    gpu = device.type == "cuda"
    torch.manual_seed(args.seed)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.benchmark_limit = 0  # all plans, not the first ten
    torch.set_float32_matmul_precision("highest" if args.similarity == "fp32" else "high")
    if args.part == "ceilings":
        say(environment(device) | ceilings(device))
        return
    if not gpu and args.mode in ("graph", "compile-graph"):
        sys.exit(f"part.py: {args.mode} needs a GPU; on a CPU use --mode eager or compile")
    settings = work.Settings(
        background=args.background,
        hard_positives=args.hard_positives,
        selection=args.selection,
        similarity=torch.bfloat16 if args.similarity == "bf16" else torch.float32,
    )
    begin = time.monotonic()
    piece = work.PARTS[args.part](args, settings, device)
    run = prepared(piece, args)
    for _ in range(args.warm_up):
        run()
    if gpu:
        torch.cuda.synchronize()
    say({"ready": True, "prepare_seconds": time.monotonic() - begin} | environment(device))
    clock = Clock(device)

    def window():
        for _ in range(args.steps):
            run()

    items = args.queries if args.part == "knn" else args.batch_size
    for _ in sys.stdin if args.serve else [""]:
        times = [clock(window) / args.steps for _ in range(args.windows)]
        result = {
            "ms": statistics.median(times),
            "ms_min": min(times),
            "ms_max": max(times),
            "items_per_second": 1e3 * items / statistics.median(times),
            "loss": float(piece.loss),
        }
        if gpu:
            # since the process began, tuning included: replays of a graph allocate nothing
            result["peak_memory_bytes"] = torch.cuda.max_memory_allocated()
            result["reserved_bytes"] = torch.cuda.memory_reserved()
        say(result)


if __name__ == "__main__":
    main()
