"""The pieces of work of InvP as a strong PyTorch user writes them for a GPU.

Everything here can be captured in a CUDA graph: shapes are static, nothing is read back, the numbers
of the images are advanced on the device. The arithmetic is that of the released code, with the top M
taken on raw similarities and the gradient as a weighted sum of the chosen rows.
"""

import pathlib
import sys
from dataclasses import dataclass

import torch
from torch.nn import functional as F

sys.dont_write_bytecode = True
sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "peer"))
import networks  # noqa: E402

FLOOR = 1e-7  # inside the logarithm


@dataclass
class Settings:
    tau: float = 0.07
    background: int = 4096  # M
    steps: int = 3
    hard_positives: int = 50
    lam: float = 0.6
    bank_momentum: float = 0.5
    selection: str = "topk"
    similarity: torch.dtype = torch.float32  # of the product with the bank


class Memory:
    """Bank [n, d] of unit rows and the neighbor table [n, k]."""

    def __init__(self, n, dim, neighbors, device, low_precision=False):
        self.bank = F.normalize(torch.randn(n, dim, device=device), dim=1)
        self.graph = torch.randint(n, (n, neighbors), device=device)
        self.low = self.bank.bfloat16() if low_precision else None

    def positives(self, indices, steps):
        """k + k^2 + ... + k^steps neighbors of neighbors, repeats and all."""
        shell, shells = self.graph[indices], []
        for step in range(steps):
            shells.append(shell)
            if step + 1 < steps:
                shell = self.graph[shell].flatten(1)
        return torch.cat(shells, 1)

    def refresh(self, indices, nearest):
        """`nearest` [b, k + 1], best first; an image that finds itself takes the last instead."""
        kept = nearest[:, :-1]
        self.graph[indices] = torch.where(kept == indices[:, None], nearest[:, -1:], kept)

    def update(self, indices, features, momentum):
        mixed = F.normalize(momentum * self.bank[indices] + (1 - momentum) * features, dim=1)
        self.bank[indices] = mixed
        if self.low is not None:
            self.low[indices] = mixed.bfloat16()


def topk(similarities, count):
    return similarities.topk(count, dim=1, sorted=False)


def grouped(similarities, count, group=64):
    """The same by maxima of groups first: whoever is among the best `count` lies in one of the best
    `count` groups, since each of those holds one that is better."""
    b, n = similarities.shape
    groups = n // group
    if groups < 2 * count:
        return topk(similarities, count)
    whole = similarities[:, : groups * group].unflatten(1, (groups, group))
    best = whole.amax(2).topk(count, dim=1, sorted=False).indices
    rows = (best[:, :, None] * group + torch.arange(group, device=best.device)).flatten(1)
    rest = torch.arange(groups * group, n, device=best.device).expand(b, -1)
    rows = torch.cat([rows, rest], 1)
    values, places = similarities.gather(1, rows).topk(count, dim=1, sorted=False)
    return values, rows.gather(1, places)


SELECTIONS = {"topk": topk, "grouped": grouped}


@torch.no_grad()
def objective(features, indices, memory, settings):
    """Losses (total, instance, invariance), the gradient to the features, the k + 1 nearest."""
    bank, tau = memory.bank, settings.tau
    if settings.similarity == torch.bfloat16:
        similarities = features.bfloat16() @ memory.low.t()
    else:
        similarities = features @ bank.t()
    chosen, order = SELECTIONS[settings.selection](similarities, settings.background)
    chosen = chosen.float()
    own = similarities.gather(1, indices[:, None]).float()
    scores, own_score = torch.exp(chosen / tau), torch.exp(own / tau)
    total = scores.sum(1, keepdim=True)
    ratio = own_score / total
    instance = -torch.log(ratio + FLOOR)
    slope = -1 / (ratio + FLOOR)
    positives = memory.positives(indices, settings.steps)
    near = similarities.gather(1, positives).float()
    if settings.hard_positives < positives.shape[1]:
        near, worst = near.topk(settings.hard_positives, dim=1, largest=False, sorted=False)
        positives = positives.gather(1, worst)
    hard_score = torch.exp(near / tau)
    rest = total - own_score
    share = hard_score.sum(1, keepdim=True) / rest
    invariance = -torch.log(share + FLOOR)
    to_share = -settings.lam / (share + FLOOR)
    # d loss / d score of the background, of the image itself and of its hard positives
    to_background = -slope * ratio / total - to_share * share / rest
    to_own = slope / total + to_share * share / rest
    weights = torch.cat(
        [to_background * scores, to_own * own_score, to_share / rest * hard_score], 1
    )
    weights = weights / (tau * features.shape[0])
    rows = torch.cat([order, indices[:, None], positives], 1)
    gradient = F.embedding_bag(rows, bank, per_sample_weights=weights, mode="sum")
    nearest = order.gather(1, chosen.topk(memory.graph.shape[1] + 1, dim=1).indices)
    instance, invariance = instance.mean(), invariance.mean()
    return (instance + settings.lam * invariance, instance, invariance), gradient, nearest


class Search:
    """Similarities, selection, propagation, losses, gradient, neighbors and bank update."""

    def __init__(self, args, settings, device):
        low = settings.similarity == torch.bfloat16
        self.memory = Memory(args.bank, args.dim, 4, device, low)
        self.settings = settings
        self.objective = objective
        self.raw = torch.randn(args.batch_size, args.dim, device=device, requires_grad=True)
        self.indices = torch.arange(args.batch_size, device=device)
        self.loss = None

    def __call__(self):
        self.raw.grad = None
        features = F.normalize(self.raw, dim=1)
        losses, gradient, nearest = self.objective(
            features.detach(), self.indices, self.memory, self.settings
        )
        features.backward(gradient)
        with torch.no_grad():
            self.memory.refresh(self.indices, nearest)
            self.memory.update(self.indices, features.detach(), self.settings.bank_momentum)
            self.indices.add_(len(self.indices)).remainder_(len(self.memory.bank))
        self.loss = losses[0]


class Step:
    """A whole training step on images that stand ready."""

    def __init__(self, args, settings, device):
        self.network = networks.build(args).to(device).train()
        self.run = self.network
        self.autocast = torch.autocast(
            device.type, torch.bfloat16, enabled=args.precision == "bf16", cache_enabled=False
        )
        self.optimiser = torch.optim.SGD(
            self.network.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-4, fused=True
        )
        low = settings.similarity == torch.bfloat16
        self.memory = Memory(args.bank, args.dim, 4, device, low)
        self.settings = settings
        self.objective = objective
        self.images = networks.random_images(args).to(device)
        self.indices = torch.arange(args.batch_size, device=device)
        self.loss = None

    def __call__(self):
        self.optimiser.zero_grad(set_to_none=True)
        with self.autocast:
            outputs = self.run(self.images)
        features = F.normalize(outputs.float(), dim=1)
        losses, gradient, nearest = self.objective(
            features.detach(), self.indices, self.memory, self.settings
        )
        features.backward(gradient)
        self.optimiser.step()
        with torch.no_grad():
            self.memory.refresh(self.indices, nearest)
            self.memory.update(self.indices, features.detach(), self.settings.bank_momentum)
            self.indices.add_(len(self.indices)).remainder_(len(self.memory.bank))
        self.loss = losses[0]


class Knn:
    """Weighted kNN in blocks of queries: one product, one selection, one vote a block."""

    def __init__(self, args, settings, device):
        self.bank = F.normalize(torch.randn(args.bank, args.dim, device=device), dim=1)
        self.queries = F.normalize(torch.randn(args.queries, args.dim, device=device), dim=1)
        self.labels = torch.arange(args.bank, device=device) % 1000
        self.chunk, self.k, self.settings = args.chunk, args.k, settings
        self.low = settings.similarity == torch.bfloat16
        if self.low:
            self.bank, self.queries = self.bank.bfloat16(), self.queries.bfloat16()
        self.loss = torch.zeros(())

    def __call__(self):
        select = SELECTIONS[self.settings.selection]
        for rows in self.queries.split(self.chunk):
            values, places = select(rows @ self.bank.t(), self.k)
            votes = torch.zeros(len(rows), 1000, device=rows.device)
            votes.scatter_add_(1, self.labels[places], torch.exp(values.float() / 0.07))
            votes.topk(5, dim=1)


PARTS = {"search": Search, "step": Step, "knn": Knn}
