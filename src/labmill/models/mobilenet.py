"""Small MobileNetV2: inverted residuals (Sandler et al., 2018, arXiv:1801.04381).

A block widens by a 1×1 convolution, filters each channel alone (3×3), and narrows again;
where input and output have equal shapes they are added. About 85,000 parameters by
default.

Differs: a 3×3 stem without stride for images of 32×32, ReLU6 replaced by ReLU (so that
bfloat16 and pruning meet no clipping), no last 1×1 convolution to 1,280 channels.
"""

from typing import cast

import torch
from torch import Tensor, nn

from labmill.models.network import Network, global_average, linear

CHANNELS_LAST = True

REQUIRES = {
    "stem": ("stem >= 1", "must be at least 1"),
    "widths": ("widths and min(widths) >= 1", "must be whole numbers from 1"),
    "blocks": (
        "len(blocks) == len(widths) and min(blocks) >= 1",
        "must have one number from 1 per width",
    ),
    "expansion": ("expansion >= 1", "must be at least 1"),
    "hidden": (
        "not hidden or (len(hidden) == sum(blocks) and min(hidden) >= 1)",
        "must have one number from 1 per block",
    ),
}


class InvertedResidual(nn.Module):
    """(B, C, H, W) to (B, width, H/s, W/s) through `hidden` channels."""

    def __init__(self, width_in: int, hidden: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, hidden, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.depthwise = nn.Conv2d(
            hidden, hidden, 3, stride, 1, groups=hidden, bias=False
        )
        self.bn2 = nn.BatchNorm2d(hidden)
        self.conv2 = nn.Conv2d(hidden, width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.adds = stride == 1 and width_in == width

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.depthwise(y)))
        y = self.bn3(self.conv2(y))
        return x + y if self.adds else y


class MobileNet(Network):
    def __init__(
        self,
        *,
        num_classes: int,
        image_size: int,
        in_channels: int,
        stem: int,
        widths: tuple[int, ...],
        blocks: tuple[int, ...],
        hidden: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.image_size, self.counts = image_size, list(blocks)
        self.stem = nn.Conv2d(in_channels, stem, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(stem)
        width_in, inner = stem, iter(hidden)
        made = []
        for i, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            for j in range(count):
                stride = 2 if i > 0 and j == 0 else 1
                made.append(InvertedResidual(width_in, next(inner), width, stride))
                width_in = width
        self.blocks = nn.Sequential(*made)
        self.head = nn.Linear(width_in, num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        return global_average(self.blocks(x))

    def prunable(self) -> dict[str, nn.Module]:
        """Return what is inside the blocks: residual sums keep their widths."""
        return {
            name: layer
            for name, layer in super().prunable().items()
            if name.endswith("conv1")
        }

    def arguments(self) -> dict[str, object]:
        blocks = cast("list[InvertedResidual]", list(self.blocks))
        ends = [sum(self.counts[: i + 1]) - 1 for i in range(len(self.counts))]
        return {
            "num_classes": linear(self.head).out_features,
            "image_size": self.image_size,
            "in_channels": self.stem.in_channels,
            "stem": self.stem.out_channels,
            "widths": [blocks[end].conv2.out_channels for end in ends],
            "blocks": self.counts,
            "hidden": [block.conv1.out_channels for block in blocks],
        }


def build(
    *,
    num_classes: int,
    image_size: int = 32,
    in_channels: int = 3,
    stem: int = 16,
    widths: tuple[int, ...] = (16, 32, 48),
    blocks: tuple[int, ...] = (2, 3, 3),
    expansion: int = 4,
    hidden: tuple[int, ...] | None = None,
) -> nn.Module:
    """Build inverted residuals in stages, each after the first at half the size.

    Args:
        num_classes: outputs of the head.
        image_size: as noted in the model's arguments; any size works.
        in_channels: 1 for grey, 3 for colour.
        stem: channels of the first convolution.
        widths: channels of each stage.
        blocks: blocks of each stage.
        expansion: channels inside a block over those that enter it.
        hidden: channels inside each block, instead of `expansion`.
    """
    entering = [stem]
    for width, count in zip(widths, blocks, strict=True):
        entering += [width] * count
    repeated = [expansion * width for width in entering[:-1]]
    return MobileNet(
        num_classes=num_classes,
        image_size=image_size,
        in_channels=in_channels,
        stem=stem,
        widths=tuple(widths),
        blocks=tuple(blocks),
        hidden=tuple(hidden or repeated),
    )
