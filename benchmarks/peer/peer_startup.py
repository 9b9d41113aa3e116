"""From the command to the first training step: imports, CIFAR records, network, one InvP step.

The clock starts before the interpreter does and stops when the child says that its first optimiser
step is done.
"""

import argparse
import pathlib
import resource
import subprocess
import sys
import time

import common

if __name__ == "__main__":
    common.tune_environment()


def first_step(args):
    import torch
    from torch.nn import functional as F

    import networks
    import objective

    torch.manual_seed(0)
    if args.data:
        raw = torch.frombuffer(bytearray(pathlib.Path(args.data).read_bytes()), dtype=torch.uint8)
        records = raw.view(-1, 3073)[:, 1:].view(-1, 3, 32, 32)
    else:
        records = torch.randint(256, (10000, 3, 32, 32), dtype=torch.uint8)
    net = networks.build(args).train()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9, weight_decay=5e-4)
    memory = objective.Memory(len(records), args.dim)
    indices = torch.randperm(len(records))[: args.batch_size]
    images = records[indices].float().div_(255).contiguous(memory_format=torch.channels_last)
    settings = objective.Settings(background=min(4096, len(records)), lam=0)
    features = F.normalize(net(images), dim=1)
    loss, _ = objective.lean(features, indices, memory, settings)
    loss.backward()
    optimiser.step()
    print("first step done", flush=True)


def time_child(command):
    """Milliseconds until `command` says that its first step is done."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        line = child.stdout.readline()
        elapsed = 1e3 * (time.perf_counter() - start)
    if "done" not in line or child.returncode != 0:
        raise SystemExit("the first step did not come: " + " ".join(command))
    return elapsed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", default="resnet18-cifar")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--head", choices=["linear", "mlp"], default="linear")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--data", help="a CIFAR-10 binary file; default: random records")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    common.add_common_arguments(parser, repeats=5)
    args = parser.parse_args()
    if args.child:
        first_step(args)
        return
    command = [sys.executable, *sys.argv, "--child"]
    times = [time_child(command) for _ in range(args.repeats + 1)][1:]  # the first fills the cache
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    common.report(times, peak_memory_bytes=peak)


if __name__ == "__main__":
    main()
