"""The networks of the InvP paper in PyTorch: ResNets with an embedding head.

torchvision's layout (stride in the 3x3 convolution) and parameter names; `-cifar` forms have a 3x3
stride-1 stem and no max pool. `width` is the number of channels of the first stage.
"""

import torch
from torch import nn
from torch.nn import functional as F

ARCHITECTURES = {
    "resnet18": (False, (2, 2, 2, 2)),
    "resnet34": (False, (3, 4, 6, 3)),
    "resnet50": (True, (3, 4, 6, 3)),
    "resnet18-cifar": (False, (2, 2, 2, 2)),
    "resnet50-cifar": (True, (3, 4, 6, 3)),
}


class Block(nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3, 1x1 with four times the channels at the end."""

    def __init__(self, channels_in, width, stride, bottleneck):
        super().__init__()
        channels_out = width * (4 if bottleneck else 1)
        shapes = (
            [(channels_in, width, 1, 1), (width, width, 3, stride), (width, channels_out, 1, 1)]
            if bottleneck
            else [(channels_in, width, 3, stride), (width, width, 3, 1)]
        )
        self.depth = len(shapes)
        for i, (c, k, size, s) in enumerate(shapes, start=1):
            self.add_module(f"conv{i}", nn.Conv2d(c, k, size, s, size // 2, bias=False))
            self.add_module(f"bn{i}", nn.BatchNorm2d(k))
        self.downsample = None
        if stride != 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )
        self.channels_out = channels_out

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        for i in range(1, self.depth + 1):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            if i < self.depth:
                x = F.relu(x, inplace=True)
        return F.relu(
            x.add_(shortcut) if not torch.is_grad_enabled() else x + shortcut, inplace=True
        )


class ResNet(nn.Module):
    def __init__(self, arch, width=64, head="linear", dim=128):
        super().__init__()
        bottleneck, depths = ARCHITECTURES[arch]
        self.small = arch.endswith("-cifar")
        size, stride = (3, 1) if self.small else (7, 2)
        self.conv1 = nn.Conv2d(3, width, size, stride, size // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        channels = width
        for stage, depth in enumerate(depths):
            blocks = []
            for i in range(depth):
                step = 2 if stage > 0 and i == 0 else 1
                blocks.append(Block(channels, width << stage, step, bottleneck))
                channels = blocks[-1].channels_out
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        hidden = channels
        self.fc = (
            nn.Linear(channels, dim)
            if head == "linear"
            else nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, dim))
        )
        if not self.small:  # the CIFAR form keeps PyTorch's own initialisation
            self.initialise()

    def initialise(self):
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        """Embeddings before normalisation."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        if not self.small:
            x = F.max_pool2d(x, 3, 2, 1)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


def build(args):
    net = ResNet(args.arch, args.width, args.head, args.dim)
    return net.to(memory_format=torch.channels_last)


def add_network_arguments(parser, arch="resnet18-cifar", batch_size=128, image_size=32):
    parser.add_argument("--arch", choices=list(ARCHITECTURES), default=arch)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--head", choices=["linear", "mlp"], default="linear")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=batch_size)
    parser.add_argument("--image-size", type=int, default=image_size)


def random_images(args):
    images = torch.randn(args.batch_size, 3, args.image_size, args.image_size)
    return images.contiguous(memory_format=torch.channels_last)
