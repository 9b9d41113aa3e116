#!/usr/bin/env python3
"""Holds every operation of `invp op --list` against PyTorch in double precision.

Random shapes, forward and backward, through safetensors files; the error is the norm of the
difference over the norm of the reference. Needs torch, torchvision and safetensors.
"""

import pathlib
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

sys.dont_write_bytecode = True
import op_cases
import program


def in_double(case, seed):
    """The reference: outputs, and the gradients for a random gradient of the first output."""
    inputs = {}
    for name, tensor in case.inputs.items():
        inputs[name] = tensor.double() if tensor.is_floating_point() else tensor
        if case.backward and tensor.is_floating_point() and name not in case.fixed:
            inputs[name] = inputs[name].requires_grad_()
    outputs = case.reference(inputs)
    outputs = outputs if isinstance(outputs, dict) else {"output": outputs}
    wanted = {name: tensor.detach() for name, tensor in outputs.items()}
    if not case.backward:
        return wanted, None
    first = next(iter(outputs.values()))
    torch.manual_seed(seed)
    grad_output = torch.randn(first.shape)
    first.backward(grad_output.double())
    for name, tensor in inputs.items():
        if tensor.requires_grad:
            wanted[f"grad_{name}"] = tensor.grad
    return wanted, grad_output


def relative_error(got, wanted):
    if got.numel() != wanted.numel():
        return float("inf")
    if not wanted.is_floating_point():
        return 0.0 if torch.equal(got.flatten().long(), wanted.flatten()) else float("inf")
    difference = (got.double().flatten() - wanted.flatten()).norm()
    return float(difference / wanted.norm()) if wanted.norm() > 0 else float(difference)


def check(score, args, folder, name, seed):
    case = op_cases.OPERATIONS[name](op_cases.Draw(seed))
    wanted, grad_output = in_double(case, seed)
    given = {key: tensor.contiguous() for key, tensor in case.inputs.items()}
    if grad_output is not None:
        given["grad_output"] = grad_output
    save_file(given, folder / "in.safetensors")
    attributes = [part for k, v in case.attributes.items() for part in ("--attr", f"{k}={v}")]
    where = ", ".join(f"{k} {list(t.shape)}" for k, t in case.inputs.items())
    what = f"({where}; {case.attributes}; seed {seed})"
    try:
        files = ("--in", folder / "in.safetensors", "--to", folder / "out.safetensors")
        program.run(args.invp, "op", name, *files, *attributes, "--device", args.device)
    except RuntimeError as error:
        score.fail(f"{name}: {error} {what}")
        return
    got = load_file(folder / "out.safetensors")
    for key, reference in wanted.items():
        if key not in got:
            score.fail(f"{name}: no '{key}' among the results {what}")
            continue
        score.check(f"{name} {key}", relative_error(got[key], reference), case.tolerance, what)


def main():
    parser = program.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=8, help="random cases of each operation")
    parser.add_argument("--only", nargs="*", help="names of operations")
    args = parser.parse_args()

    score = program.Score()
    listed = program.run(args.invp, "op", "--list", "--json")["operations"]
    for name in sorted(set(listed) - set(op_cases.OPERATIONS)):
        score.fail(f"{name}: the program has it, this check does not know it")
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only or [name for name in listed if name in op_cases.OPERATIONS]:
            for number in range(args.rounds):
                check(score, args, pathlib.Path(folder), name, 1000 * args.seed + number)
    score.finish()


if __name__ == "__main__":
    main()
