"""The InvP objective in PyTorch: the released form, written twice.

`published` follows the released algorithm as it stands: exp over the whole batch x n matrix, with
autograd through everything. `lean` computes the same numbers the way a careful PyTorch user would:
top M on the raw similarities, and the gradient as a weighted sum of the chosen rows of the bank.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

FLOOR = 1e-7  # inside the logarithm of the released form


@dataclass
class Settings:
    tau: float = 0.07
    background: int = 4096
    steps: int = 3
    hard_positives: int = 50
    lam: float = 0.6  # weight of the invariance loss; 0 before it sets in
    bank_momentum: float = 0.5


class Memory:
    """Bank [n, d], uniform in +-1/sqrt(d/3) and not normalised, and the neighbor table [n, k]."""

    def __init__(self, n, dim=128, neighbors=4, random_graph=False):
        bound = (dim / 3) ** -0.5
        self.bank = torch.empty(n, dim).uniform_(-bound, bound)
        self.graph = (
            torch.randint(n, (n, neighbors))
            if random_graph
            else torch.zeros(n, neighbors, dtype=torch.int64)
        )

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
        mixed = momentum * self.bank[indices] + (1 - momentum) * features
        self.bank[indices] = F.normalize(mixed, dim=1)


def hard_positives(similarities, positives, count):
    """The `count` least similar of `positives`; repeats count several times."""
    if count >= positives.shape[1]:
        return positives
    worst = similarities.topk(count, dim=1, largest=False, sorted=False).indices
    return positives.gather(1, worst)


def published(features, indices, memory, settings):
    """Returns the loss (a graph), and the k + 1 nearest of each image."""
    scores = torch.exp(features @ memory.bank.t() / settings.tau)
    chosen, order = scores.topk(settings.background, dim=1, sorted=True)
    total = chosen.sum(1)
    own = scores.gather(1, indices[:, None])[:, 0]
    instance = -torch.log(own / total + FLOOR).mean()
    nearest = order[:, : memory.graph.shape[1] + 1]
    if settings.lam == 0:
        return instance, nearest
    positives = memory.positives(indices, settings.steps)
    hard = hard_positives(scores.detach().gather(1, positives), positives, settings.hard_positives)
    invariance = -torch.log(scores.gather(1, hard).sum(1) / (total - own) + FLOOR).mean()
    return instance + settings.lam * invariance, nearest


class WeightedRows(torch.autograd.Function):
    """A loss whose gradient to the features is already known."""

    @staticmethod
    def forward(ctx, features, loss, gradient):
        ctx.save_for_backward(gradient)
        return loss.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0], None, None


@torch.no_grad()
def lean_parts(features, indices, memory, settings):
    bank, tau = memory.bank, settings.tau
    similarities = features @ bank.t()
    chosen, order = similarities.topk(settings.background, dim=1, sorted=False)
    own = similarities.gather(1, indices[:, None])
    scores, own_score = torch.exp(chosen / tau), torch.exp(own / tau)
    total = scores.sum(1, keepdim=True)
    # d loss / d score of the background, of the image itself and of its hard positives
    ratio = own_score / total
    slope = -1 / (ratio + FLOOR)
    loss = -torch.log(ratio + FLOOR)
    to_background = -slope * ratio / total
    to_own = slope / total
    rows, weights = [order, indices[:, None]], []
    if settings.lam > 0:
        positives = memory.positives(indices, settings.steps)
        hard = hard_positives(similarities.gather(1, positives), positives, settings.hard_positives)
        hard_score = torch.exp(similarities.gather(1, hard) / tau)
        rest = total - own_score
        share = hard_score.sum(1, keepdim=True) / rest
        slope = -settings.lam / (share + FLOOR)
        loss = loss - settings.lam * torch.log(share + FLOOR)
        to_background = to_background - slope * share / rest
        to_own = to_own + slope * share / rest
        rows.append(hard)
        weights.append(slope / rest * hard_score)
    weights = torch.cat([to_background * scores, to_own * own_score, *weights], 1)
    weights /= tau * features.shape[0]
    gradient = F.embedding_bag(torch.cat(rows, 1), bank, per_sample_weights=weights, mode="sum")
    k = memory.graph.shape[1] + 1
    nearest = order.gather(1, chosen.topk(k, dim=1).indices)
    return loss.mean(), gradient, nearest


def lean(features, indices, memory, settings):
    loss, gradient, nearest = lean_parts(features.detach(), indices, memory, settings)
    return WeightedRows.apply(features, loss, gradient), nearest


FORMS = {"published": published, "lean": lean}


def add_objective_arguments(parser, bank):
    parser.add_argument("--bank", type=int, default=bank)
    parser.add_argument("--background", type=int, default=4096)
    parser.add_argument("--hard-positives", type=int, default=50)
    parser.add_argument("--form", choices=list(FORMS), default="lean")


def settings_of(args):
    return Settings(background=min(args.background, args.bank), hard_positives=args.hard_positives)
