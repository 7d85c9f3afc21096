"""A CNN whose blocks weight their convolutions by the image.

A block averages its input over the image, maps it to three numbers a₁..a₃ ≥ 0 by a
linear layer with ReLU, and returns a₁·C₁(x) + a₂·C₂(x) + a₃·C₃(x) of three parallel
convolutions with ReLU; batch norm and a max pool follow. Conditionally parameterised
convolutions (Yang et al., 2019, arXiv:1904.04971) mix kernels instead of outputs.

Differs: the three are one convolution of three times the width, split afterwards; the
published widths are not known; pools round up, so that small images survive five.
"""

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labmill.models.network import Network, global_average, linear

CHANNELS_LAST = True

REQUIRES = {
    "widths": ("widths and min(widths) >= 1", "must be whole numbers from 1"),
    "kernel": (
        "kernel >= 1 and kernel % 2 == 1",
        "must be odd, so that images keep their size",
    ),
    "hidden": ("hidden >= 1", "must be at least 1"),
    "dropout": ("0 <= dropout < 1", "must be at least 0 and below 1"),
}

BRANCHES = 3


class Gate(nn.Linear):
    """A linear layer whose outputs are coefficients, always as many as branches."""


class Block(nn.Module):
    """(B, C, H, W) to (B, width, ⌈H/2⌉, ⌈W/2⌉)."""

    def __init__(self, width_in: int, width: int, kernel: int, mixing: str) -> None:
        super().__init__()
        self.mixing = mixing
        branches = 1 if mixing == "single" else BRANCHES
        self.convolution = nn.Conv2d(
            width_in, branches * width, kernel, padding=kernel // 2
        )
        if mixing in ("published", "softmax"):
            self.gate = Gate(width_in, BRANCHES)
        self.norm = nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(2, ceil_mode=True)

    def mix(self, x: Tensor) -> Tensor:
        """Return the weights a (B, 3) of the branches for inputs (B, C, H, W)."""
        if self.mixing == "equal":
            return x.new_full((len(x), BRANCHES), 1 / BRANCHES)
        scores = self.gate(global_average(x))
        return scores.softmax(dim=1) if self.mixing == "softmax" else F.relu(scores)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = F.relu(self.convolution(x))
        if self.mixing != "single":
            a = self.mix(x)[:, :, None, None, None].unbind(dim=1)
            c = y.chunk(BRANCHES, dim=1)
            y = torch.addcmul(torch.addcmul(a[0] * c[0], a[1], c[1]), a[2], c[2])
        out: Tensor = self.pool(self.norm(y))
        return out


class DynamicCNN(Network):
    def __init__(
        self,
        *,
        num_classes: int,
        image_size: int,
        in_channels: int,
        widths: list[int],
        kernel: int,
        hidden: int,
        dropout: float,
        mixing: str,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.mixing = mixing
        pairs = zip([in_channels, *widths], widths, strict=False)
        self.blocks = nn.Sequential(*(Block(i, o, kernel, mixing) for i, o in pairs))
        self.hidden = nn.Linear(widths[-1], hidden)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, num_classes)

    def _blocks(self) -> list[Block]:
        return cast("list[Block]", list(self.blocks))

    def forward_features(self, x: Tensor) -> Tensor:
        return self.dropout(F.relu(self.hidden(global_average(self.blocks(x)))))

    def mixing_weights(self, x: Tensor) -> list[Tensor]:
        """Return the weights a (B, 3) of each block's branches; `single` has none."""
        found = []
        for block in self._blocks() if self.mixing != "single" else ():
            found.append(block.mix(x))
            x = block(x)
        return found

    def pruners(self) -> dict[type[nn.Module], object]:
        from torch_pruning.pruner.function import LinearPruner

        class GatePruner(LinearPruner):
            """A pruner of inputs; the branches that outputs multiply may lose channels."""

            def prune_out_channels(
                self, layer: nn.Module, idxs: list[int]
            ) -> nn.Module:
                return layer

            def get_out_channels(self, layer: nn.Module) -> None:
                return None

        return {Gate: GatePruner()}

    def arguments(self) -> dict[str, object]:
        blocks = self._blocks()
        first = blocks[0].convolution
        return {
            "num_classes": linear(self.head).out_features,
            "image_size": self.image_size,
            "in_channels": first.in_channels,
            "widths": [block.norm.num_features for block in blocks],
            "kernel": first.kernel_size[0],
            "hidden": self.hidden.out_features,
            "dropout": self.dropout.p,
            "mixing": self.mixing,
            "equal_cost": False,
        }


def equal_cost_widths(
    widths: list[int], in_channels: int, image_size: int
) -> list[int]:
    """Return widths at which single convolutions cost as much as three of `widths`.

    Scaling all widths by f scales the first convolution's operations by f and the
    others' by f²: solved for f, then rounded.
    """
    sizes = [image_size]
    for _ in widths[1:]:
        sizes.append((sizes[-1] + 1) // 2)
    inputs = [in_channels, *widths]
    first, *others = (
        s * s * i * o for s, i, o in zip(sizes, inputs, widths, strict=False)
    )
    total, rest = BRANCHES * (first + sum(others)), sum(others)
    if not rest:
        return [BRANCHES * width for width in widths]
    factor = ((first**2 + 4 * rest * total) ** 0.5 - first) / (2 * rest)
    return [round(factor * width) for width in widths]


def build(
    *,
    num_classes: int,
    image_size: int = 32,
    in_channels: int = 3,
    widths: tuple[int, ...] = (32, 64, 128, 256, 256),
    kernel: int = 3,
    hidden: int = 256,
    dropout: float = 0.5,
    mixing: Literal["published", "equal", "softmax", "single"] = "published",
    equal_cost: bool = True,
) -> nn.Module:
    """Build five blocks, a hidden layer, a head.

    Args:
        num_classes: outputs of the head.
        image_size: used for `equal_cost` only; images may have any size.
        in_channels: 1 for grey, 3 for colour.
        widths: channels that each block returns.
        kernel: of all convolutions.
        hidden: features of the hidden layer.
        dropout: after the hidden layer.
        mixing: `published` weighs by ReLU, `softmax` by softmax, `equal` by ⅓ each;
            `single` has one convolution in place of three.
        equal_cost: with `single`, widen the blocks until they cost as much as three.
    """
    actual = list(widths)
    if mixing == "single" and equal_cost:
        actual = equal_cost_widths(actual, in_channels, image_size)
    return DynamicCNN(
        num_classes=num_classes,
        image_size=image_size,
        in_channels=in_channels,
        widths=actual,
        kernel=kernel,
        hidden=hidden,
        dropout=dropout,
        mixing=mixing,
    )
