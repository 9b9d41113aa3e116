"""Golden values for tests/invp/protocols/finetune/finetune_test.cpp: fine-tuning in PyTorch, double precision.

A narrow ResNet-18, its images and labels are filled by a formula both sides can compute (splitmix64), so only results are
stored: the losses of every step, what each tensor of the state has changed by after the last (weights in half precision, which is
a share of 2^-11 of the change), and figures of random logits by scikit-learn.

    python3 tests/golden/finetune.py        # needs torch, torchvision, numpy, safetensors, scikit-learn
"""

import pathlib
import warnings

import numpy as np
import sklearn.metrics
import torch
import torch.nn.functional as F
import torchvision
from safetensors.numpy import save_file

from make_layers import fill, uniform

DATA = pathlib.Path(__file__).parent / "data"
WIDTH, SIZE, BATCH, CLASSES = 4, 64, 16, 7
# Batch norm makes the loss indifferent to the size of the convolutions' weights, and their gradient falls with it. At 1 so small a
# network is chaotic: a ReLU that a rounding error turns over in step 2 moves the loss of step 20 by up to 4 %, in PyTorch's own
# single precision too. At 16 ten streams of images out of ten stay within 1.5e-4 of double precision (weights: 3.5e-4).
GAIN = 16


def narrow_resnet18() -> torch.nn.Module:
    network = torchvision.models.resnet18(weights=None)
    scale = lambda channels: channels if channels == 3 else channels * WIDTH // 64
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, torch.nn.Conv2d):
                setattr(module, name, torch.nn.Conv2d(scale(child.in_channels), scale(child.out_channels), child.kernel_size,
                                                      child.stride, child.padding, bias=False))
            elif isinstance(child, torch.nn.BatchNorm2d):
                setattr(module, name, torch.nn.BatchNorm2d(scale(child.num_features)))
    network.fc = torch.nn.Linear(8 * WIDTH, CLASSES)
    return network


def images(stream: int, step: int) -> torch.Tensor:
    values = torch.from_numpy(uniform(stream + step, BATCH * SIZE * SIZE * 3))
    return values.reshape(BATCH, SIZE, SIZE, 3).permute(0, 3, 1, 2)


def labels(step: int) -> torch.Tensor:
    return torch.tensor([(7 * i + 3 * step + i * step) % CLASSES for i in range(BATCH)])


def train(stream: int, steps: int, rates, weight_decay: float, steps_an_epoch: int, parts: int = 1) -> dict[str, np.ndarray]:
    """rates(epoch from 0) -> (backbone, new layer). With several parts the batch norms see each by itself, and keep the running
    statistics of the first: torch.nn.DataParallel's arithmetic."""
    network = narrow_resnet18().double()
    with torch.no_grad():
        fill(network)
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.weight.mul_(GAIN)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.train()
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    backbone = [tensor for name, tensor in network.named_parameters() if not name.startswith("fc.")]
    optimizer = torch.optim.SGD([{"params": backbone}, {"params": network.fc.parameters()}], lr=1.0, momentum=0.9,
                                weight_decay=weight_decay)
    losses = []
    for step in range(steps):
        for group, rate in zip(optimizer.param_groups, rates(step // steps_an_epoch)):
            group["lr"] = rate
        outputs = []
        for part, chunk in enumerate(torch.chunk(images(stream, step), parts)):
            for norm in norms:
                norm.momentum = 0.1 if part == 0 else 0.0
            outputs.append(network(chunk))
        loss = F.cross_entropy(torch.cat(outputs), labels(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    results = {"losses": np.array(losses, dtype=np.float32)}
    for name, tensor in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            kept = np.float32 if "running" in name else np.float16  # statistics change by more than 1
            results["change." + name] = (tensor - before[name]).numpy().astype(kept)
    return results


def falling(base: tuple[float, float], milestones: list[int]):
    return lambda epoch: tuple(rate * 0.1 ** sum(m <= epoch for m in milestones) for rate in base)


def code_like(epoch: int) -> tuple[float, float]:
    """Drops for the backbone alone, another rate for the new layer in the first epoch."""
    return falling((0.02, 0.0), [1, 3])(epoch)[0], 0.05 if epoch == 0 else 0.005


def accuracy() -> dict[str, np.ndarray]:
    """Nine classes, of which class 6 has no image."""
    count, classes = 200, 9
    logits = uniform(5000, count * classes).reshape(count, classes)
    truth = np.array([[0, 1, 2, 3, 4, 5, 7, 8, 0, 1, 1][(3 * i + i // 7) % 11] for i in range(count)])
    logits[np.arange(count), truth] += 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a class is never seen is what this is about
        mean_per_class = sklearn.metrics.balanced_accuracy_score(truth, logits.argmax(1))
    top = lambda k: 100 * sklearn.metrics.top_k_accuracy_score(truth, logits, k=k, labels=range(classes))
    return {"figures": np.array([top(1), top(5), 100 * mean_per_class])}


def main() -> None:
    runs = {
        "semi": train(11000, 20, falling((0.0012, 0.06), [15, 20, 25]), 1e-5, 20),
        "transfer": train(7000, 20, falling((0.001, 0.005), [120, 160]), 1e-6, 20),
    }
    # Weight decay that shows, on everything; rates that change within the run. Only short tensors are kept.
    schedule = train(1000, 12, code_like, 0.2, 3, parts=3)
    runs["schedule"] = {name: values for name, values in schedule.items() if values.size <= 64}
    for name, results in runs.items():
        save_file(results, DATA / f"finetune_{name}.safetensors")
        print(name, results["losses"][[0, 1, -2, -1]])
    save_file(accuracy(), DATA / "accuracy.safetensors")
    print("accuracy", accuracy()["figures"])


if __name__ == "__main__":
    main()
