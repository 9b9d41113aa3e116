"""A whole InvP training step in PyTorch on random images that stand ready in memory."""

import argparse

import common

if __name__ == "__main__":
    common.tune_environment()

import torch
from torch.nn import functional as F

import networks
import objective


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    networks.add_network_arguments(parser)
    objective.add_objective_arguments(parser, bank=10000)
    parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
    common.add_common_arguments(parser)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    net = networks.build(args).train()
    run = torch.compile(net) if args.mode == "compile" else net
    # fused: all parameters in one pass
    optimiser = torch.optim.SGD(
        net.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-4, fused=True
    )
    memory = objective.Memory(args.bank, args.dim, random_graph=True)
    settings = objective.settings_of(args)
    loss_of = objective.FORMS[args.form]
    images = networks.random_images(args)

    def step():
        indices = torch.randperm(args.bank)[: args.batch_size]
        features = F.normalize(run(images), dim=1)
        loss, nearest = loss_of(features, indices, memory, settings)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            memory.refresh(indices, nearest)
            memory.update(indices, features.detach(), settings.bank_momentum)
        return loss

    times = common.measure(step, args.repeats, args.warm_up)
    common.report(times, args.batch_size, mode=args.mode, form=args.form, loss=step().item())


if __name__ == "__main__":
    main()
