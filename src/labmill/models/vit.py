"""Vision transformer (Dosovitskiy et al., 2021, arXiv:2010.11929).

Differs: every choice is an argument. Patches may overlap; positions, activation, place
of the norm and of the class token are free; `headwise` projections stay inside a head's
slice and have no output projection; a decoder may read the encoded patches. No
pretrained weights.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labmill.models.blocks import (
    BlockModel,
    BlockOptions,
    DecoderBlock,
    EncoderBlock,
)
from labmill.models.embedding import (
    PatchEmbedding,
    sinusoidal_table,
    sinusoidal_table_2d,
)
from labmill.models.network import drop_paths, linear

REQUIRES = {
    "patch": ("1 <= patch <= image_size", "must fit into the image"),
    "stride": (
        "stride is None or 1 <= stride <= patch",
        "must lie between 1 and patch: a larger stride would skip pixels",
    ),
    "dim": ("dim >= 1", "must be at least 1"),
    "depth": ("depth >= 1", "must be at least 1"),
    "decoder_depth": ("decoder_depth >= 0", "must be at least 0"),
    "heads": ("heads >= 1 and dim % heads == 0", "must divide dim"),
    "decoder_heads": (
        "decoder_heads is None or (decoder_heads >= 1 and dim % decoder_heads == 0)",
        "must divide dim",
    ),
    "positions": (
        "positions != 'sinusoidal_2d' or dim % 4 == 0",
        "sinusoidal_2d needs dim divisible by 4: sine and cosine of rows and columns",
    ),
    "class_token_layer": (
        "0 <= class_token_layer <= depth if class_token == 'inserted' "
        "else class_token_layer == 0",
        "is for class_token: inserted, and lies between 0 and depth",
    ),
    "read_out": (
        "read_out is None or (0 <= read_out <= depth and "
        "(class_token != 'inserted' or class_token_layer <= read_out))",
        "must lie between 0 and depth, and not before class_token_layer",
    ),
    "queries": (
        "queries == 'class_token' or decoder_depth >= 1",
        "classes needs decoder_depth of at least 1",
    ),
    "mlp_ratio": ("mlp_ratio * dim >= 1", "must leave an MLP a hidden feature"),
    "mlp_widths": (
        "mlp_widths is None or (len(mlp_widths) == depth + decoder_depth "
        "and min(mlp_widths) >= 1)",
        "must have one number from 1 per encoder block, then one per decoder block",
    ),
    "dropout": ("0 <= dropout < 1", "must be at least 0 and below 1"),
    "drop_path": ("0 <= drop_path < 1", "must be at least 0 and below 1"),
}


class ClassQueryHead(nn.Linear):
    """Map a query per class to its logit, (B, classes, dim) to (B, classes)."""

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weight).sum(-1) + self.bias


class VisionTransformer(BlockModel):
    """Encoder over patches, and optionally a decoder that reads them; see `build`."""

    def __init__(
        self,
        *,
        num_classes: int,
        embedding: PatchEmbedding,
        encoder: list[EncoderBlock],
        decoder: list[DecoderBlock],
        dim: int,
        positions: str,
        token_layer: int | None,
        read_out: int,
        class_queries: bool,
        final_norm: bool,
        dropout: float,
        softmax_output: bool,
        arguments: dict[str, object],
    ):
        super().__init__()
        self.built_with = arguments
        self.embedding = embedding
        self.encoder = nn.ModuleList(encoder)
        self.decoder = nn.ModuleList(decoder)
        self.token_layer, self.read_out = token_layer, read_out
        self.class_queries, self.softmax_output = class_queries, softmax_output
        self.class_token: nn.Parameter | None = None
        if token_layer is not None:
            self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, dim))
        self._make_positions(positions, dim)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(dim) if final_norm else nn.Identity()
        self.dim = dim
        self.reset_head(num_classes)

    def _make_positions(self, positions: str, dim: int) -> None:
        """Create a row per patch, and one for a class token that starts the sequence."""
        side, first = self.embedding.side, int(self.token_layer == 0)
        tokens = side**2 + first
        if positions == "learnable":
            self.positions = nn.Parameter(0.02 * torch.randn(tokens, dim))
            return
        table = None
        if positions == "sinusoidal":
            table = sinusoidal_table(tokens, dim)
        elif positions == "sinusoidal_2d":
            table = F.pad(sinusoidal_table_2d(side, dim), (0, 0, first, 0))
        self.register_buffer("positions", table, persistent=False)

    def reset_head(self, num_classes: int) -> None:
        """Replace the head (and the class queries) by new ones for `num_classes`."""
        like = next(self.parameters())
        head = ClassQueryHead if self.class_queries else nn.Linear
        self.head = head(self.dim, num_classes).to(like)
        self.queries = None
        if self.class_queries:
            queries = 0.02 * torch.randn(1, num_classes, self.dim)
            self.queries = nn.Parameter(queries.to(like))

    def arguments(self) -> dict[str, object]:
        return super().arguments() | {"num_classes": linear(self.head).out_features}

    def positions_table(self) -> Tensor | None:
        """Return the rows added to the patches, (side², dim), not the class token's."""
        first = int(self.token_layer == 0)
        return None if self.positions is None else self.positions[first:].detach()

    def _token(self, x: Tensor) -> Tensor:
        assert self.class_token is not None
        return self.class_token.expand(x.shape[0], -1, -1)

    def _with_token(self, x: Tensor) -> Tensor:
        return torch.cat((self._token(x), x), dim=1)

    def _embed(self, x: Tensor) -> Tensor:
        """Return the tokens before the first block."""
        x = self.embedding(x)
        if self.token_layer == 0:
            x = self._with_token(x)
        if self.positions is not None:
            x = x + self.positions
        x = self.dropout(x)
        return x

    def _inputs_of(self, x: Tensor, layers: int) -> list[Tensor]:
        """Return what enters each of the first `layers` blocks, and leaves the last."""
        x = self._embed(x)
        inputs = [x]
        for layer, block in enumerate(self.encoder[:layers], start=1):
            x = block(x)
            if layer == self.token_layer:
                x = self._with_token(x)
            inputs.append(x)
        return inputs

    def hidden_states(self, x: Tensor) -> list[Tensor]:
        """Return tokens before the first encoder block and after each: depth + 1.

        Each (B, tokens, dim); the class token, where there is one, comes first, and
        after layer k > 0 only in those from entry k on.
        """
        return self._inputs_of(x, len(self.encoder))

    def attention_maps(self, x: Tensor) -> Tensor:
        """Return attention weights of every encoder block, (depth, B, heads, T, T).

        Rows and columns of a class token that has not been inserted yet are zero.
        """
        tokens = self.hidden_states(x)
        pairs = zip(self.encoder_blocks(), tokens, strict=False)
        maps = [block.attention_map(x) for block, x in pairs]
        most = maps[-1].shape[-1]
        return torch.stack([F.pad(m, (most - m.shape[-1], 0) * 2) for m in maps])

    def cross_attention_maps(self, x: Tensor) -> Tensor:
        """Return cross-attention weights, (decoder_depth, B, heads, queries, side²)."""
        patches, read = self._encode(x)
        maps = []
        for block in self.decoder_blocks():
            maps.append(block.attention_maps(read, patches)[1])
            read = block(read, patches)
        return torch.stack(maps)

    def _encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return patches, and the token or tokens that the head reads."""
        x = self._inputs_of(x, self.read_out)[-1]
        if self.token_layer is None:
            patches, read = x, x.mean(1, keepdim=True)
        elif self.token_layer > self.read_out:
            patches, read = x, self._token(x)
        else:
            patches, read = x[:, 1:], x[:, :1]
        if self.queries is not None:
            read = read + self.queries
        return patches, read

    def forward_features(self, x: Tensor) -> Tensor:
        """Return what the head reads, (B, dim), of images (B, C, H, W).

        With class queries (B, classes, dim).
        """
        patches, read = self._encode(x)
        for block in self.decoder:
            read = block(read, patches)
        read = self.norm(read)
        return read if self.class_queries else read.squeeze(1)


def build(
    *,
    num_classes: int,
    image_size: int,
    in_channels: int = 3,
    patch: int = 4,
    stride: int | None = None,
    dim: int = 32,
    depth: int = 6,
    heads: int = 4,
    mlp_ratio: float = 4.0,
    mlp_widths: list[int] | None = None,
    positions: Literal[
        "sinusoidal", "sinusoidal_2d", "learnable", "none"
    ] = "learnable",
    activation: Literal["relu", "tanh", "gelu"] = "gelu",
    projections: Literal["headwise", "joint"] = "joint",
    norm: Literal["pre", "post"] = "pre",
    final_norm: bool = True,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    class_token: Literal["start", "inserted", "after", "mean"] = "start",
    class_token_layer: int = 0,
    read_out: int | None = None,
    decoder_depth: int = 0,
    decoder_heads: int | None = None,
    queries: Literal["class_token", "classes"] = "class_token",
    softmax_output: bool = False,
) -> nn.Module:
    """Build a vision transformer.

    Args:
        num_classes: outputs of the head.
        image_size: height and width of the images, in pixels.
        in_channels: 1 for grey, 3 for colour.
        patch: side of a patch, in pixels.
        stride: distance between patches, in pixels; None: `patch`, no overlap.
        dim: features of a token.
        depth: encoder blocks.
        heads: attention heads of the encoder.
        mlp_ratio: hidden features of an MLP, as a multiple of `dim`.
        mlp_widths: hidden features of each MLP (encoder, then decoder) in place of
            `mlp_ratio`; what pruning changes.
        positions: sinusoidal over the sequence, sinusoidal over rows and columns,
            learnable, or none.
        activation: inside the MLPs.
        projections: `joint` as in arXiv:1706.03762, or `headwise`.
        norm: before each branch, or after each residual sum.
        final_norm: layer norm before the head, as nets with norm `pre` have it.
        dropout: share of features dropped after the embedding, inside each MLP and at
            the end of each branch.
        drop_path: share of images for which the last residual branch is left out;
            earlier ones less, in proportion to depth.
        class_token: there from the start; inserted after `class_token_layer`; joined
            after all layers, so that it sees nothing; or in its place the patches' mean.
        class_token_layer: encoder block after which the class token is inserted.
        read_out: encoder block whose output is read (0: the embedding); None: the last.
        decoder_depth: blocks of self-attention, cross-attention to the encoded patches
            and MLP, through which the class token (or mean) goes after the encoder.
        decoder_heads: attention heads of the decoder; None: `heads`.
        queries: what the decoder carries: the class token alone, or the class token
            plus one learnable query per class, from which that class's logit is read.
        softmax_output: return probabilities in place of logits, a defect kept so that
            published figures can be reproduced.
    """
    arguments = dict(locals())
    block: BlockOptions = {
        "projections": projections,
        "activation": activation,
        "norm": norm,
        "dropout": dropout,
    }
    widths = mlp_widths or [round(mlp_ratio * dim)] * (depth + decoder_depth)
    token_layers = {"start": 0, "inserted": class_token_layer, "after": depth + 1}
    network = VisionTransformer(
        num_classes=num_classes,
        embedding=PatchEmbedding(image_size, in_channels, patch, stride or patch, dim),
        encoder=[EncoderBlock(dim, heads, hidden=w, **block) for w in widths[:depth]],
        decoder=[
            DecoderBlock(dim, decoder_heads or heads, hidden=w, **block)
            for w in widths[depth:]
        ],
        dim=dim,
        positions=positions,
        token_layer=token_layers.get(class_token),
        read_out=depth if read_out is None else read_out,
        class_queries=queries == "classes",
        final_norm=final_norm,
        dropout=dropout,
        softmax_output=softmax_output,
        arguments=arguments,
    )
    drop_paths(network, drop_path)
    return network
