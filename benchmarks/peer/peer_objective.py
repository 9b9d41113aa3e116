"""One InvP objective step in PyTorch over a bank of ImageNet's size, without a network.

Similarities, selection, propagation, both losses, the gradient to the features, the neighbor table
and the bank update.
"""

import argparse

import common

if __name__ == "__main__":
    common.tune_environment()

import torch
from torch.nn import functional as F

import objective


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    objective.add_objective_arguments(parser, bank=1281167)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=128)
    common.add_common_arguments(parser, repeats=5)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    memory = objective.Memory(args.bank, args.dim, random_graph=True)
    settings = objective.settings_of(args)
    loss_of = objective.FORMS[args.form]
    leaf = torch.randn(args.batch_size, args.dim)
    bank_only = common.peak_memory_bytes()

    def step():
        indices = torch.randint(args.bank, (args.batch_size,))
        raw = leaf.clone().requires_grad_()
        features = F.normalize(raw, dim=1)
        loss, nearest = loss_of(features, indices, memory, settings)
        loss.backward()
        with torch.no_grad():
            memory.refresh(indices, nearest)
            memory.update(indices, features.detach(), settings.bank_momentum)

    times = common.measure(step, args.repeats, 1)
    beyond = common.peak_memory_bytes() - bank_only
    common.report(times, args.batch_size, form=args.form, beyond_bank_bytes=beyond)


if __name__ == "__main__":
    main()
