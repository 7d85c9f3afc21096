"""ResNet with basic blocks (He et al., 2016, arXiv:1512.03385); ResNet-18 by default.

The `imagenet` stem is the published one and equals torchvision's `resnet18` tensor by
tensor (its `fc` is `head` here); the `cifar` stem is a 3×3 convolution without pooling.
ResNet-20 for CIFAR (0.27 million parameters) is `widths: [16, 32, 64], blocks: [3, 3, 3]`,
ResNet-56 (0.86 million) has `blocks: [9, 9, 9]`.

Differs: where a block changes the shape its shortcut is a 1×1 convolution; the paper's
networks for CIFAR pad with zeros there, and ResNet-56 has 0.85 million parameters.
"""

from typing import Literal, cast

import torch
from torch import Tensor, nn

from labmill.models.network import (
    Network,
    StochasticDepth,
    drop_paths,
    global_average,
    linear,
)

CHANNELS_LAST = True
# Enough work a step for several threads.
HEAVY = True

REQUIRES = {
    "widths": ("widths and min(widths) >= 1", "must be whole numbers from 1"),
    "blocks": (
        "len(blocks) == len(widths) and min(blocks) >= 1",
        "must have one number from 1 per width",
    ),
    "hidden": (
        "not hidden or (len(hidden) == sum(blocks) and min(hidden) >= 1)",
        "must have one number from 1 per block",
    ),
    "drop_path": ("0 <= drop_path < 1", "must be at least 0 and below 1"),
}


class Block(nn.Module):
    """Two 3×3 convolutions and a shortcut: (B, C, H, W) to (B, width, H/s, W/s)."""

    def __init__(self, width_in: int, hidden: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, hidden, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = nn.Conv2d(hidden, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.drop_path = StochasticDepth()
        self.downsample: nn.Sequential | None = None
        if stride != 1 or width_in != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(width_in, width, 1, stride, bias=False),
                nn.BatchNorm2d(width),
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.drop_path(self.bn2(self.conv2(y)))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(Network):
    def __init__(
        self,
        *,
        num_classes: int,
        image_size: int,
        in_channels: int,
        stem: str,
        widths: tuple[int, ...],
        blocks: tuple[int, ...],
        hidden: tuple[int, ...],
        drop_path: float,
    ) -> None:
        super().__init__()
        self.image_size, self.drop_path = image_size, drop_path
        self.stem = stem
        kernel, stride = (7, 2) if stem == "imagenet" else (3, 1)
        self.conv1 = nn.Conv2d(
            in_channels, widths[0], kernel, stride, kernel // 2, bias=False
        )
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.pool = nn.MaxPool2d(3, 2, 1) if stem == "imagenet" else nn.Identity()
        width_in, inner = widths[0], iter(hidden)
        self.stages = len(widths)
        for i, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            stage = nn.Sequential()
            for j in range(count):
                stride = 2 if i > 0 and j == 0 else 1
                stage.append(Block(width_in, next(inner), width, stride))
                width_in = width
            self.add_module(f"layer{i + 1}", stage)
        self.head = nn.Linear(width_in, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight, mode="fan_out", nonlinearity="relu"
                )
        drop_paths(self, drop_path)

    @property
    def layers(self) -> list[nn.Sequential]:
        return [getattr(self, f"layer{i + 1}") for i in range(self.stages)]

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        for stage in self.layers:
            x = stage(x)
        return global_average(x)

    def prunable(self) -> dict[str, nn.Module]:
        """Return the stem, the insides of blocks, and each later stage's residual sum."""
        return {
            name: layer
            for name, layer in super().prunable().items()
            if name.endswith("conv1")
            or (name.endswith(".0.conv2") and not name.startswith("layer1"))
        }

    def arguments(self) -> dict[str, object]:
        stages = [cast("list[Block]", list(stage)) for stage in self.layers]
        return {
            "num_classes": linear(self.head).out_features,
            "image_size": self.image_size,
            "in_channels": self.conv1.in_channels,
            "stem": self.stem,
            "widths": [stage[-1].conv2.out_channels for stage in stages],
            "blocks": [len(stage) for stage in stages],
            "hidden": [b.conv1.out_channels for stage in stages for b in stage],
            "drop_path": self.drop_path,
        }


def build(
    *,
    num_classes: int,
    image_size: int = 32,
    in_channels: int = 3,
    stem: Literal["cifar", "imagenet"] = "cifar",
    widths: tuple[int, ...] = (64, 128, 256, 512),
    blocks: tuple[int, ...] = (2, 2, 2, 2),
    hidden: tuple[int, ...] | None = None,
    drop_path: float = 0.0,
) -> nn.Module:
    """Build ResNet-18, or one of other widths and depth.

    Args:
        num_classes: outputs of the head.
        image_size: as noted in the model's arguments; any size works.
        in_channels: 1 for grey, 3 for colour.
        stem: `cifar` keeps 32×32, `imagenet` makes it 8×8 before the first stage.
        widths: channels of each stage.
        blocks: blocks of each stage.
        hidden: channels inside each block, its stage's width where not given.
        drop_path: share of images for which the last residual branch is left out;
            earlier ones less, in proportion to depth.
    """
    repeated = [w for w, n in zip(widths, blocks, strict=True) for _ in range(n)]
    return ResNet(
        num_classes=num_classes,
        image_size=image_size,
        in_channels=in_channels,
        stem=stem,
        widths=tuple(widths),
        blocks=tuple(blocks),
        hidden=tuple(hidden or repeated),
        drop_path=drop_path,
    )
