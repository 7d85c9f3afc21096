"""Compact convolutional transformer (Hassani et al., 2021, arXiv:2104.05704).

Convolutions with max pooling make the tokens, pre-norm encoder blocks follow, and the
head reads a weighted mean of the tokens whose weights are learned (sequence pooling).
CCT-7/3×1 has depth 7, one convolution of 3×3, dim 256, 4 heads and an MLP ratio of 2.

Differs: no dropout inside attention.
"""

import itertools
from typing import Literal

import torch
from torch import Tensor, nn

from labmill.models.blocks import BlockModel, EncoderBlock
from labmill.models.embedding import sinusoidal_table
from labmill.models.network import drop_paths, linear

REQUIRES = {
    "dim": ("dim >= 1", "must be at least 1"),
    "depth": ("depth >= 1", "must be at least 1"),
    "heads": ("heads >= 1 and dim % heads == 0", "must divide dim"),
    "convolutions": (
        "1 <= convolutions and image_size >= 2 ** convolutions",
        "must be at least 1, and each one halves the image",
    ),
    "kernel": ("kernel >= 1 and kernel % 2 == 1", "must be odd"),
    "mlp_ratio": ("mlp_ratio * dim >= 1", "must leave an MLP a hidden feature"),
    "mlp_widths": (
        "mlp_widths is None or (len(mlp_widths) == depth and min(mlp_widths) >= 1)",
        "must have one number from 1 per block",
    ),
    "dropout": ("0 <= dropout < 1", "must be at least 0 and below 1"),
    "drop_path": ("0 <= drop_path < 1", "must be at least 0 and below 1"),
}


class Tokenizer(nn.Sequential):
    """Convolution, ReLU and max pooling: (B, C, H, W) to (B, dim, H', W')."""

    def __init__(self, channels: int, dim: int, count: int, kernel: int) -> None:
        widths = [channels, *[64] * (count - 1), dim]
        layers: list[nn.Module] = []
        for width_in, width in itertools.pairwise(widths):
            conv = nn.Conv2d(width_in, width, kernel, padding=kernel // 2, bias=False)
            nn.init.kaiming_normal_(conv.weight)
            layers += [conv, nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        super().__init__(*layers)


class CompactTransformer(BlockModel):
    """Tokens from convolutions, encoder blocks, sequence pooling; see `build`."""

    def __init__(
        self,
        *,
        num_classes: int,
        tokenizer: Tokenizer,
        tokens: int,
        encoder: list[EncoderBlock],
        dim: int,
        positions: str,
        dropout: float,
        arguments: dict[str, object],
    ) -> None:
        super().__init__()
        self.built_with = arguments
        self.tokenizer = tokenizer
        self.positions: Tensor | None
        if positions == "learnable":
            self.positions = nn.Parameter(0.2 * torch.randn(tokens, dim))
        else:
            table = sinusoidal_table(tokens, dim) if positions == "sinusoidal" else None
            self.register_buffer("positions", table, persistent=False)
        self.dropout = nn.Dropout(dropout)
        self.encoder, self.decoder = nn.ModuleList(encoder), nn.ModuleList()
        self.norm = nn.LayerNorm(dim)
        self.pool = nn.Linear(dim, 1)
        self.head = nn.Linear(dim, num_classes)

    def arguments(self) -> dict[str, object]:
        return super().arguments() | {"num_classes": linear(self.head).out_features}

    def forward_features(self, x: Tensor) -> Tensor:
        """Return what the head reads, (B, dim), of images (B, C, H, W)."""
        x = self.tokenizer(x).flatten(2).transpose(1, 2)
        if self.positions is not None:
            x = x + self.positions
        x = self.dropout(x)
        for block in self.encoder:
            x = block(x)
        x = self.norm(x)
        weights = self.pool(x).softmax(dim=1)  # (B, tokens, 1)
        return (weights * x).sum(1)


def build(
    *,
    num_classes: int,
    image_size: int = 32,
    in_channels: int = 3,
    dim: int = 128,
    depth: int = 2,
    heads: int = 2,
    convolutions: int = 2,
    kernel: int = 3,
    mlp_ratio: float = 1.0,
    mlp_widths: list[int] | None = None,
    positions: Literal["learnable", "sinusoidal", "none"] = "learnable",
    dropout: float = 0.0,
    drop_path: float = 0.0,
) -> nn.Module:
    """CCT-2/3×2 by default: 128 features, two blocks, two convolutions.

    Args:
        num_classes: outputs of the head.
        image_size: height and width; each convolution halves it.
        in_channels: 1 for grey, 3 for colour.
        dim: features of a token.
        depth: encoder blocks.
        heads: attention heads; they divide `dim`.
        convolutions: convolutions with pooling that make the tokens.
        kernel: their height and width.
        mlp_ratio: hidden features of an MLP over `dim`.
        mlp_widths: hidden features of each MLP, instead of `mlp_ratio`.
        positions: what is added to the tokens.
        dropout: after the tokens and in every block.
        drop_path: share of images for which the last residual branch is left out;
            earlier ones less, in proportion to depth.
    """
    tokenizer = Tokenizer(in_channels, dim, convolutions, kernel)
    side = image_size
    for _ in range(convolutions):
        side = (side + 1) // 2
    widths = mlp_widths or [int(mlp_ratio * dim)] * depth
    encoder = [
        EncoderBlock(
            dim,
            heads,
            hidden=hidden,
            projections="joint",
            activation="gelu",
            norm="pre",
            dropout=dropout,
        )
        for hidden in widths
    ]
    network = CompactTransformer(
        num_classes=num_classes,
        tokenizer=tokenizer,
        tokens=side**2,
        encoder=encoder,
        dim=dim,
        positions=positions,
        dropout=dropout,
        arguments={
            "num_classes": num_classes,
            "image_size": image_size,
            "in_channels": in_channels,
            "dim": dim,
            "depth": depth,
            "heads": heads,
            "convolutions": convolutions,
            "kernel": kernel,
            "mlp_ratio": mlp_ratio,
            "positions": positions,
            "dropout": dropout,
            "drop_path": drop_path,
        },
    )
    drop_paths(network, drop_path)
    return network
