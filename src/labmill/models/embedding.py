"""Images and positions as tokens, for the first attention block."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def sinusoidal_table(length: int, dim: int) -> Tensor:
    """Return sines in even features, cosines in odd ones, float32 (length, dim).

    Feature j of position t is sin or cos of t / 10000^(2⌊j/2⌋ / dim)
    (arXiv:1706.03762, section 3.5).
    """
    position = torch.arange(length, dtype=torch.float64)[:, None]
    feature = torch.arange(dim)
    angle = position / 10_000 ** (2 * (feature // 2) / dim).to(torch.float64)
    return torch.where(feature % 2 == 0, angle.sin(), angle.cos()).float()


def sinusoidal_table_2d(side: int, dim: int) -> Tensor:
    """Return a table (side², dim): half the features encode the row, half the column."""
    table = sinusoidal_table(side, dim // 2)
    row = table[:, None].expand(side, side, -1)
    column = table[None].expand(side, side, -1)
    return torch.cat((row, column), dim=-1).flatten(0, 1)


class PatchEmbedding(nn.Module):
    """Patches of an image, row by row, each mapped linearly to `dim` features.

    Zeros are added around the image until the patches, `stride` apart, cover all of it.
    """

    def __init__(
        self, image_size: int, in_channels: int, patch: int, stride: int, dim: int
    ):
        super().__init__()
        self.side = math.ceil((image_size - patch) / stride) + 1
        missing = (self.side - 1) * stride + patch - image_size
        self.padding = [missing // 2, missing - missing // 2] * 2
        self.project = nn.Conv2d(in_channels, dim, patch, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, side², dim)."""
        if any(self.padding):
            x = F.pad(x, self.padding)
        return self.project(x).flatten(2).transpose(1, 2)
