"""A whole InvP training step in PyTorch on random images that stand ready in memory.

With --ranks N in as many processes on this machine that share the batch: DistributedDataParallel
over gloo, each with a copy of the bank, whose updates they gather.
"""

import argparse
import os
import socket

import common

if __name__ == "__main__":
    common.tune_environment()

import torch
import torch.distributed
import torch.multiprocessing
import torch.nn.parallel
from torch.nn import functional as F

import networks
import objective


def gather(tensor):
    """The rows of all ranks."""
    parts = [torch.empty_like(tensor) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    networks.add_network_arguments(parser)
    objective.add_objective_arguments(parser, bank=10000)
    parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
    parser.add_argument("--ranks", type=int, default=1)
    common.add_common_arguments(parser)
    return parser.parse_args()


def steps(rank, args, port):
    """Of one rank: the first prints the times."""
    torch.manual_seed(args.seed)
    if args.ranks > 1:
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        torch.distributed.init_process_group("gloo", rank=rank, world_size=args.ranks)

    net = networks.build(args).train()
    run = torch.compile(net) if args.mode == "compile" else net
    if args.ranks > 1:
        run = torch.nn.parallel.DistributedDataParallel(run, gradient_as_bucket_view=True)
    # fused: all parameters in one pass
    optimiser = torch.optim.SGD(
        net.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-4, fused=True
    )
    memory = objective.Memory(args.bank, args.dim, random_graph=True)
    settings = objective.settings_of(args)
    loss_of = objective.FORMS[args.form]
    share = args.batch_size // args.ranks
    rows = slice(rank * share, (rank + 1) * share)
    images = networks.random_images(args)[rows].contiguous(memory_format=torch.channels_last)

    def step():
        indices = torch.randperm(args.bank)[: args.batch_size]  # the same on all ranks
        features = F.normalize(run(images), dim=1)
        loss, nearest = loss_of(features, indices[rows], memory, settings)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            if args.ranks > 1:
                features, nearest = gather(features), gather(nearest)
            memory.refresh(indices, nearest)
            memory.update(indices, features.detach(), settings.bank_momentum)
        return loss

    times = common.measure(step, args.repeats, args.warm_up)
    loss = step().item()
    if rank == 0:
        common.report(times, args.batch_size, mode=args.mode, form=args.form, loss=loss)
    if args.ranks > 1:
        torch.distributed.destroy_process_group()


def main():
    args = arguments()
    if args.ranks == 1:
        return steps(0, args, None)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(steps, (args, port), nprocs=args.ranks)


if __name__ == "__main__":
    main()
