"""Random cases of every operation, with PyTorch's own result in double precision as reference."""

from dataclasses import dataclass, field
from typing import Callable

import torch
from torch.nn import functional as F


@dataclass
class Case:
    inputs: dict
    reference: Callable  # inputs in float64 -> tensor, or dict of tensors with `output` first
    attributes: dict = field(default_factory=dict)
    fixed: tuple = ()  # inputs that get no gradient
    tolerance: float = 2e-5
    backward: bool = True


class Draw:
    """Shapes and values from one seeded stream."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)

    def integer(self, low, high):
        return int(torch.randint(low, high + 1, (), generator=self.generator))

    def pick(self, *choices):
        return choices[self.integer(0, len(choices) - 1)]

    def normal(self, *shape, scale=1.0):
        return scale * torch.randn(*shape, generator=self.generator)

    def uniform(self, low, high, *shape):
        return low + (high - low) * torch.rand(*shape, generator=self.generator)

    def image(self, least=1, channels=None):
        c = channels or self.pick(1, 3, 16, 17, 64)
        return self.normal(self.integer(1, 5), c, self.integer(least, 19), self.integer(least, 19))


def conv2d(d):
    groups, kernel = d.pick(1, 1, 1, 2, 4), d.pick(1, 1, 3, 3, 5, 7)
    c, k = groups * d.pick(1, 3, 16, 24), groups * d.pick(1, 8, 16, 33)
    attributes = {
        "stride": d.integer(1, 3),
        "padding": d.integer(0, kernel // 2 + 1),
        "dilation": d.pick(1, 1, 2),
        "groups": groups,
    }
    reach = attributes["dilation"] * (kernel - 1) + 1
    x = d.image(max(1, reach - 2 * attributes["padding"]), c)
    inputs = {"input": x, "weight": d.normal(k, c // groups, kernel, kernel, scale=0.2)}
    if d.pick(True, False):
        inputs["bias"] = d.normal(k)
    return Case(
        inputs, lambda t: F.conv2d(t["input"], t["weight"], t.get("bias"), **attributes), attributes
    )


def norm_case(d, finish, residual=False):
    """A batch norm whose result stays clear of the kink of a ReLU after it: an element nearer to
    zero than rounding could fall on the other side there."""
    attributes = {"training": d.pick("true", "false"), "momentum": 0.1, "eps": 1e-5}
    while True:
        x = d.image(2)
        c = x.shape[1]
        inputs = {
            "input": x,
            "running_mean": d.normal(c, scale=0.3),
            "running_var": d.uniform(0.5, 2, c),
            "weight": d.uniform(0.5, 1.5, c),
            "bias": d.normal(c, scale=0.3),
        }
        if residual:
            inputs["residual"] = d.normal(*x.shape)

        def before(t):
            mean, var = t["running_mean"].detach().clone(), t["running_var"].detach().clone()
            training = attributes["training"] == "true"
            y = F.batch_norm(t["input"], mean, var, t["weight"], t["bias"], training, 0.1, 1e-5)
            return (y + t["residual"] if residual else y), mean, var

        def reference(t):
            y, mean, var = before(t)
            return {"output": finish(y), "running_mean": mean, "running_var": var}

        if before({k: v.double() for k, v in inputs.items()})[0].abs().min() > 2e-6:
            return Case(inputs, reference, attributes, ("running_mean", "running_var"), 5e-5)


def batch_norm(d):
    return norm_case(d, lambda y: y)


def batch_norm_relu(d):
    return norm_case(d, F.relu)


def batch_norm_add_relu(d):
    return norm_case(d, F.relu, residual=True)


def relu(d):
    return Case({"input": d.image()}, lambda t: F.relu(t["input"]))


def add(d):
    x = d.image()
    return Case({"input": x, "other": d.normal(*x.shape)}, lambda t: t["input"] + t["other"])


def matmul(d):
    m, k, n = (d.pick(1, 7, 64, 130) for _ in range(3))
    inputs = {"input": d.normal(m, k), "other": d.normal(k, n)}
    return Case(inputs, lambda t: t["input"] @ t["other"])


def linear(d):
    n, c, k = d.integer(1, 40), d.pick(1, 9, 128, 500), d.pick(1, 10, 128)
    inputs = {"input": d.normal(n, c), "weight": d.normal(k, c)}
    if d.pick(True, False):
        inputs["bias"] = d.normal(k)
    return Case(inputs, lambda t: F.linear(t["input"], t["weight"], t.get("bias")))


def linear_relu(d):
    """As in norm_case, no sum lies nearer to the kink of the ReLU than rounding can carry it. The
    ReLU can leave a gradient few terms, which may nearly cancel."""
    while True:
        case = linear(d)
        before, case.tolerance = case.reference, 1e-4
        if before({k: v.double() for k, v in case.inputs.items()}).abs().min() > 2e-5:
            case.reference = lambda t: F.relu(before(t))
            return case


def window(d):
    kernel = d.integer(1, 4)
    return {"kernel_size": kernel, "stride": d.integer(1, 3), "padding": d.integer(0, kernel // 2)}


def max_pool2d(d):
    attributes = window(d)
    return Case({"input": d.image(4)}, lambda t: F.max_pool2d(t["input"], **attributes), attributes)


def avg_pool2d(d):
    attributes = window(d)
    return Case({"input": d.image(4)}, lambda t: F.avg_pool2d(t["input"], **attributes), attributes)


def adaptive_avg_pool2d(d):
    size = d.pick(1, 1, 2, 3, 6, 12)
    return Case(
        {"input": d.image()},
        lambda t: F.adaptive_avg_pool2d(t["input"], size),
        {"output_size": size},
    )


def global_avg_pool(d):
    return Case({"input": d.image()}, lambda t: t["input"].mean((2, 3)))


def l2_normalize(d):
    x = d.normal(d.integer(1, 40), d.pick(2, 9, 128, 300))  # one number alone has gradient 0
    return Case({"input": x}, lambda t: F.normalize(t["input"], dim=1))


def rows(d):
    return d.normal(d.integer(1, 40), d.pick(2, 10, 1000), scale=4)


def log_softmax(d):
    return Case({"input": rows(d)}, lambda t: F.log_softmax(t["input"], 1))


def softmax(d):
    return Case({"input": rows(d)}, lambda t: F.softmax(t["input"], 1))


def cross_entropy(d):
    x = rows(d)
    target = torch.randint(x.shape[1], (x.shape[0],), generator=d.generator)
    inputs = {"input": x, "target": target}
    return Case(inputs, lambda t: F.cross_entropy(t["input"], t["target"]), {}, ("target",))


def bce_with_logits(d):
    x = d.normal(d.integer(1, 40), 20, scale=6)
    inputs = {"input": x, "target": (d.uniform(0, 1, *x.shape) < 0.3).float()}
    loss = lambda t: F.binary_cross_entropy_with_logits(t["input"], t["target"])
    return Case(inputs, loss, {}, ("target",))


def smooth_l1(d):
    x = d.normal(d.integer(1, 40), 4)
    beta = d.pick(0.5, 1.0)
    loss = lambda t: F.smooth_l1_loss(t["input"], t["target"], beta=beta)
    return Case({"input": x, "target": d.normal(*x.shape)}, loss, {"beta": beta}, ("target",))


def total(d):
    return Case({"input": d.uniform(0, 1, d.integer(1, 300), 40)}, lambda t: t["input"].sum())


def mean(d):
    return Case({"input": d.uniform(0, 1, d.integer(1, 300), 40)}, lambda t: t["input"].mean())


def sgd_step(d):
    shape = (d.integer(1, 50), d.integer(1, 50))
    a = {"lr": 0.1, "momentum": d.pick(0.0, 0.9), "weight_decay": d.pick(0.0, 1e-4, 0.01)}

    def reference(t):
        velocity = (
            a["momentum"] * t["momentum_buffer"] + t["grad"] + a["weight_decay"] * t["weight"]
        )
        return {"weight": t["weight"] - a["lr"] * velocity, "momentum_buffer": velocity}

    inputs = {name: d.normal(*shape) for name in ("weight", "grad", "momentum_buffer")}
    return Case(inputs, reference, a, backward=False)


def roi_align(d):
    from torchvision.ops import roi_align as reference

    x = d.image(8)
    n, size = d.integer(1, 12), d.pick(3, 7, 14)
    image = torch.randint(x.shape[0], (n, 1), generator=d.generator).float()
    corner, extent = d.uniform(-2, 60, n, 2), d.uniform(4, 80, n, 2)
    a = {
        "output_size": size,
        "spatial_scale": 0.125,
        "sampling_ratio": d.pick(0, 2),
        "aligned": "true",
        "step": d.pick(1, 2, 3),
    }
    inputs = {"input": x, "boxes": torch.cat([image, corner, corner + extent], 1)}
    call = lambda t: reference(
        t["input"], t["boxes"], size, 0.125, a["sampling_ratio"], aligned=True
    )[:, :, :: a["step"], :: a["step"]]
    return Case(inputs, call, a, ("boxes",))


def nms(d):
    from torchvision.ops import nms as reference

    n = d.integer(1, 200)
    corner, extent = d.uniform(0, 100, n, 2), d.uniform(5, 60, n, 2)
    inputs = {"boxes": torch.cat([corner, corner + extent], 1), "scores": d.uniform(0, 1, n)}
    call = lambda t: reference(t["boxes"], t["scores"], 0.5)
    return Case(inputs, call, {"iou_threshold": 0.5}, backward=False)


OPERATIONS = {
    name: function
    for name, function in list(globals().items())
    if callable(function)
    and getattr(function, "__module__", None) == __name__
    and name not in ("Case", "Draw", "norm_case", "window", "rows", "total", "dataclass")
} | {"sum": total}
