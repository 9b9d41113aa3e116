"""Golden values for tests/invp/protocols/linear/linear_test.cpp: layer-wise linear classification in PyTorch, double precision.

A narrow ResNet-50, its images, labels and first classifiers are filled by a formula both sides can compute (splitmix64), so
only results are stored: of all 17 taps the losses of 50 steps, in three forms; average precisions by scikit-learn; rates.

    python3 tests/golden/linear.py        # needs torch, torchvision, numpy, safetensors, scikit-learn
"""

import pathlib

import numpy as np
import sklearn.metrics
import torch
import torch.nn.functional as F
import torchvision
from safetensors.numpy import save_file

from make_layers import fill, uniform

DATA = pathlib.Path(__file__).parent / "data"
WIDTH, SIZE, IMAGES, BATCH, STEPS, CLASSES = 8, 64, 48, 12, 50, 20
GRIDS = [5] + [3] * 3 + [3] * 4 + [3] * 6 + [1] * 3  # cells a side at each tap: 3 of 4 pixels overlap


def narrow_resnet50() -> torch.nn.Module:
    network = torchvision.models.resnet50(weights=None)
    scale = lambda channels: channels if channels == 3 else channels * WIDTH // 64
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, torch.nn.Conv2d):
                setattr(module, name, torch.nn.Conv2d(scale(child.in_channels), scale(child.out_channels), child.kernel_size,
                                                      child.stride, child.padding, bias=False))
            elif isinstance(child, torch.nn.BatchNorm2d):
                setattr(module, name, torch.nn.BatchNorm2d(scale(child.num_features)))
    network.fc = torch.nn.Linear(2048 * WIDTH // 64, 16)
    return network


def pooled_taps(network: torch.nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    x = network.maxpool(network.relu(network.bn1(network.conv1(images))))
    maps = [x]
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        for block in stage:
            maps.append(x := block(x))
    return [F.adaptive_avg_pool2d(x, grid).flatten(1) for x, grid in zip(maps, GRIDS)]


def rows_of(step: int) -> list[int]:
    return [(step * BATCH + i) * 5 % IMAGES for i in range(BATCH)]


def presence(image: int, c: int) -> int:
    """0 absent, 1 present, 2 unclear."""
    return [0, 0, 1, 0, 2, 1, 0][(image * 3 + c * 5 + image * c) % 7]


class FrozenNorm(torch.nn.Module):
    """BatchNorm1d that stays in evaluation mode: the statistics are those it began with."""

    def __init__(self, dims: int):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(dims, dtype=torch.float64).eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x)


def make_head(tap: int, dims: int, norm: bool) -> torch.nn.Module:
    head = torch.nn.Linear(dims, CLASSES, dtype=torch.float64)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(uniform(2000 + tap, CLASSES * dims).reshape(CLASSES, dims) / 64))
        head.bias.zero_()
    return torch.nn.Sequential(FrozenNorm(dims), head) if norm else head


def multi_label_loss(logits: torch.Tensor, images: list[int]) -> torch.Tensor:
    flags = torch.tensor([[presence(image, c) for c in range(CLASSES)] for image in images])
    loss = F.binary_cross_entropy_with_logits(logits, (flags == 1).double(), reduction="none")
    return torch.where(flags == 2, 0.0, loss).sum() / len(images)


def train(features: list[torch.Tensor], form: str) -> np.ndarray:
    norm, lr, decay = {"plain": (False, 4e-3, 0.0), "norm": (True, 1e-3, 0.0), "voc": (False, 2e-3, 1e-3)}[form]
    heads = [make_head(tap, x.shape[1], norm) for tap, x in enumerate(features, 1)]
    optimizer = torch.optim.SGD([{"params": head.parameters()} for head in heads], lr=lr, momentum=0.9, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[2, 4], gamma=0.1)
    epoch = STEPS // 5
    losses = []
    for step in range(STEPS):
        rows = rows_of(step)
        labels = torch.tensor([row * 7 % CLASSES for row in rows])
        each = [multi_label_loss(head(x[rows]), rows) if form == "voc" else F.cross_entropy(head(x[rows]), labels)
                for head, x in zip(heads, features)]
        optimizer.zero_grad()
        sum(each).backward()
        optimizer.step()
        losses.append([loss.item() for loss in each])
        if step % epoch == epoch - 1:
            schedule.step()
    return np.array(losses, dtype=np.float32)


def average_precisions(scores: np.ndarray, flags: np.ndarray) -> tuple[float, float, float]:
    kept = flags != 2
    scores, truth = scores[kept].astype(np.float64), flags[kept] == 1
    step = sklearn.metrics.average_precision_score(truth, scores - 1e-5 * truth)
    precision, recall, _ = sklearn.metrics.precision_recall_curve(truth, scores)
    precision, recall = precision[-2::-1], recall[-2::-1]  # from the highest score down, without the made-up end
    padded_recall = np.concatenate([[0.0], recall, [1.0]])
    falling = np.maximum.accumulate(np.concatenate([[0.0], precision, [0.0]])[::-1])[::-1]
    change = np.flatnonzero(padded_recall[1:] != padded_recall[:-1])
    envelope = ((padded_recall[change + 1] - padded_recall[change]) * falling[change + 1]).sum()
    eleven = np.mean([max(precision[recall >= i / 10], default=0.0) for i in range(11)])
    return step, envelope, eleven


def write_average_precisions() -> None:
    lines = []
    for case in range(24):
        count = [3, 7, 20, 61][case % 4]
        scores = uniform(3000 + case, count).astype(np.float32)
        if case % 3:  # ties, exact ones and such as the penalty turns around
            scores = np.round(scores * 4).astype(np.float32) / 4 + (case % 3 == 2) * uniform(4000 + case, count).astype(np.float32) * 4e-6
            scores = scores.astype(np.float32)
        draw = uniform(5000 + case, count)
        flags = np.where(draw > 0.3, 1, np.where(draw > 0.1, 2, 0))
        flags[0] = 1
        values = average_precisions(scores, flags)
        lines.append("\t".join([" ".join(float(s).hex() for s in scores), " ".join(map(str, flags)), *(repr(float(v)) for v in values)]))
    (DATA / "linear_average_precision.tsv").write_text("\n".join(lines) + "\n")


def write_rates() -> None:
    lines = []
    for name, epochs, rate, milestones, gamma in [("imagenet", 100, 30, [60, 80], 0.1), ("places205", 100, 3, [60, 80], 0.1),
                                                  ("voc07", 100, 3, [60, 80], 0.1), ("cifar", 100, 30, [40, 60, 80], 0.2)]:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=milestones, gamma=gamma)
        rates = []
        for _ in range(epochs):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        lines.append("\t".join([name, " ".join(f"{rate:.12g}" for rate in rates)]))
    (DATA / "linear_rates.tsv").write_text("\n".join(lines) + "\n")


def main() -> None:
    torch.manual_seed(0)
    network = narrow_resnet50()
    with torch.no_grad():
        fill(network)
        network.double().eval()
        images = torch.from_numpy(uniform(1000, IMAGES * SIZE * SIZE * 3).reshape(IMAGES, SIZE, SIZE, 3)).permute(0, 3, 1, 2)
        features = pooled_taps(network, images)
    results = {form: train(features, form) for form in ("plain", "norm", "voc")}
    save_file(results, DATA / "linear_losses.safetensors")
    for form, losses in results.items():
        print(form, losses[0].round(3), losses[-1].round(3), "largest", losses.max())
    write_average_precisions()
    write_rates()


if __name__ == "__main__":
    main()
