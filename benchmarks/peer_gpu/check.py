#!/usr/bin/env python3
"""Holds the peer's objective against `invp objective --objective released`, on random tensors.

The same losses, gradient, neighbors and bank rows from the same inputs, for both ways of selecting;
and both ways of selecting against a sort. Ends with 1 if something differs.

    .cache/peer/bin/python benchmarks/peer_gpu/check.py --invp build/bin/invp [--device cuda]
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

import work

ROOT = pathlib.Path(__file__).resolve().parents[2]
OURS = "loss loss_ins loss_inv grad_features new_neighbors new_bank".split()


def ours(args, given, settings):
    with tempfile.TemporaryDirectory() as folder:
        files = [f"{folder}/in.safetensors", f"{folder}/out.safetensors"]
        save_file(given, files[0])
        command = [args.invp, "objective", "--in", files[0], "--to", files[1]]
        command += ["--objective", "released", "--background", settings.background]
        command += ["--hard-positives", settings.hard_positives, "--device", args.device]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"check.py: {done.stderr.strip()}")
        return load_file(files[1])


def theirs(given, settings, device):
    memory = work.Memory(2, given["bank"].shape[1], given["neighbors"].shape[1], device)
    memory.bank = given["bank"].to(device, copy=True)
    memory.graph = given["neighbors"].to(device, torch.int64, copy=True)
    raw = given["features"].to(device, copy=True).requires_grad_()
    indices = given["indices"].to(device)
    features = F.normalize(raw, dim=1)
    losses, gradient, nearest = work.objective(features.detach(), indices, memory, settings)
    features.backward(gradient)
    memory.refresh(indices, nearest)
    memory.update(indices, features.detach(), settings.bank_momentum)
    found = [*losses, raw.grad, memory.graph[indices], memory.bank[indices]]
    return dict(zip(OURS, found))


def difference(name, a, b):
    a, b = a.cpu(), b.cpu()
    if name == "new_neighbors":  # sets; the order of what is equally near is nobody's
        return float((a.long().sort(1).values != b.long().sort(1).values).float().mean())
    a, b = a.flatten().double(), b.flatten().double()
    return float((a - b).norm() / a.norm())


def check_selections():
    torch.manual_seed(1)
    for n, count in ((1000, 3), (1003, 7), (64, 64)):
        x = torch.randn(5, n)
        wanted = x.sort(1, descending=True).values[:, :count]
        for name, select in work.SELECTIONS.items():
            values, rows = select(x, count)
            same = torch.equal(values.sort(1, descending=True).values, wanted)
            if not same or not torch.equal(x.gather(1, rows), values):
                sys.exit(f"check.py: {name} selects wrongly {count} of {n}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--invp", default=str(ROOT / "build/bin/invp"))
    parser.add_argument("--device", default="cpu", help="of both")
    args = parser.parse_args()
    check_selections()
    device = torch.device(args.device)
    worst = 0.0
    for seed in range(5):
        torch.manual_seed(seed)
        b, n, d = 6, 1500, 16
        given = {
            "features": torch.randn(b, d),
            "indices": torch.randperm(n)[:b],
            "bank": F.normalize(torch.randn(n, d), dim=1),
            "neighbors": torch.randint(n, (n, 4)).int(),
        }
        for selection in work.SELECTIONS:
            settings = work.Settings(background=10, hard_positives=20, selection=selection)
            a, b_ = ours(args, given, settings), theirs(given, settings, device)
            for name in OURS:
                error = difference(name, a[name], b_[name])
                worst = max(worst, error)
                if not error < 1e-4:
                    sys.exit(f"check.py: seed {seed}, {selection}: {name} differs by {error:.3g}")
    print(json.dumps({"checks": 5 * len(work.SELECTIONS) * len(OURS), "worst": worst}))


if __name__ == "__main__":
    main()
