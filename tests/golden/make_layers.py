"""Golden values for tests/layers/resnet_test.cpp: torchvision's ResNets in double precision.

Weights and images are filled by a formula both sides can compute (splitmix64), so only results are stored: features in
evaluation and training mode, and for every parameter the norm of its gradient and its product with a fixed direction.

    python3 tests/golden/make_layers.py        # needs torch, torchvision, numpy, safetensors
"""

import pathlib

import numpy as np
import torch
import torchvision
from safetensors.numpy import save_file

MASK = np.uint64(0xFFFFFFFFFFFFFFFF)


def uniform(stream: int, count: int) -> np.ndarray:
    """count numbers in [-1, 1), from splitmix64 of (stream << 32) + position."""
    with np.errstate(over="ignore"):
        z = (np.uint64(stream) << np.uint64(32)) + np.arange(count, dtype=np.uint64)
        z = (z + np.uint64(0x9E3779B97F4A7C15)) & MASK
        z = ((z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)) & MASK
        z = ((z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)) & MASK
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2.0**23 - 1.0  # 24 bits: exact in f32


def fill(network: torch.nn.Module) -> None:
    """Fills every tensor of the state by its rank among the sorted names; weights in torchvision's own layout."""
    state = network.state_dict()
    for stream, name in enumerate(sorted(state)):
        tensor = state[name]
        if name.endswith("num_batches_tracked"):
            continue
        values = torch.from_numpy(uniform(stream + 1, tensor.numel())).reshape(tensor.shape)
        if name.endswith("running_var") or (name.endswith("weight") and tensor.dim() == 1):
            values = 1.0 + values / 4
        elif tensor.dim() > 1:
            values = values * float(np.float32(np.sqrt(3.0 / tensor[0].numel())))
        else:
            values = values / 4
        tensor.copy_(values)


def cifar_form(width: int) -> torch.nn.Module:
    """ResNet-18 with a 3x3 stride-1 stem, no max pool, and channels scaled to `width`."""
    network = torchvision.models.resnet18(weights=None, num_classes=16)
    scale = lambda channels: channels * width // 64
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, torch.nn.Conv2d):
                inputs = 3 if child.in_channels == 3 else scale(child.in_channels)
                stem = child.in_channels == 3
                setattr(module, name, torch.nn.Conv2d(
                    inputs, scale(child.out_channels), 3 if stem else child.kernel_size, 1 if stem else child.stride,
                    1 if stem else child.padding, bias=False))
            elif isinstance(child, torch.nn.BatchNorm2d):
                setattr(module, name, torch.nn.BatchNorm2d(scale(child.num_features)))
    network.maxpool = torch.nn.Identity()
    network.fc = torch.nn.Linear(8 * width, 16)
    return network


def results(network: torch.nn.Module, size: int) -> dict[str, np.ndarray]:
    network.double()
    with torch.no_grad():
        fill(network)
    images = torch.from_numpy(uniform(1000, 4 * size * size * 3)).reshape(4, size, size, 3).permute(0, 3, 1, 2)
    out: dict[str, np.ndarray] = {}
    network.eval()
    with torch.no_grad():
        out["eval"] = network(images).numpy()
    network.train()
    y = network(images)
    out["train"] = y.detach().numpy()
    (y * torch.from_numpy(uniform(1001, y.numel())).reshape(y.shape)).sum().backward()
    names = sorted(name for name, _ in network.named_parameters())
    parameters = dict(network.named_parameters())
    out["gradient_norms"] = np.array([parameters[n].grad.norm().item() for n in names])
    out["gradient_products"] = np.array(
        [(parameters[n].grad.reshape(-1) * torch.from_numpy(uniform(2000 + i, parameters[n].numel()))).sum().item()
         for i, n in enumerate(names)])
    out["running_mean"] = network.state_dict()["layer4.1.bn2.running_mean"].numpy()
    out["running_var"] = network.state_dict()["layer4.1.bn2.running_var"].numpy()
    return {key: np.ascontiguousarray(value.astype(np.float64)) for key, value in out.items()}


def main() -> None:
    folder = pathlib.Path(__file__).parent / "data"
    networks = {
        "resnet18": (torchvision.models.resnet18(weights=None, num_classes=16), 64),
        "resnet50": (torchvision.models.resnet50(weights=None, num_classes=16), 64),
        "resnet18_cifar": (cifar_form(8), 32),
    }
    for name, (network, size) in networks.items():
        save_file(results(network, size), folder / f"layers_{name}.safetensors")
        names = list(network.state_dict())
        (folder / f"layers_{name}.names.txt").write_text("\n".join(names) + "\n")


if __name__ == "__main__":
    main()
