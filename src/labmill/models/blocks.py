"""Encoder and decoder blocks, and the base of models that consist of them.

Shapes in docstrings as in `labmill.models.attention`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack, cast

import torch
from torch import Tensor, nn

from labmill.models.attention import Attention, Projections
from labmill.models.network import Network, StochasticDepth

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}
Activation = Literal["relu", "tanh", "gelu"]
Norm = Literal["pre", "post"]


class BlockOptions(TypedDict):
    """Keyword arguments that encoder and decoder blocks share."""

    projections: Projections
    activation: Activation
    norm: Norm
    dropout: float


class Block(nn.Module):
    """The MLP and the residual branches of encoder and decoder blocks."""

    def __init__(
        self,
        dim: int,
        hidden: int,
        branches: int,
        **options: Unpack[BlockOptions],
    ) -> None:
        super().__init__()
        dropout = options["dropout"]
        self.pre_norm = options["norm"] == "pre"
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(branches))
        self.mlp = nn.Sequential(
            nn.Linear(dim, hidden),
            ACTIVATIONS[options["activation"]](),
            nn.Dropout(dropout),
            nn.Linear(hidden, dim),
        )
        self.dropout = nn.Dropout(dropout)
        self.drop_path = StochasticDepth()

    def branch_input(self, x: Tensor, branch: int) -> Tensor:
        """Return what branch number `branch` computes on when x enters it."""
        normed: Tensor = self.norms[branch](x) if self.pre_norm else x
        return normed

    def residual(
        self, x: Tensor, branch: int, function: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Return x + f(LN(x)) with pre-norm, LN(x + f(x)) with post-norm."""
        added = self.dropout(function(self.branch_input(x, branch)))
        y: Tensor = x + self.drop_path(added)
        if not self.pre_norm:
            y = self.norms[branch](y)
        return y


class EncoderBlock(Block):
    """Self-attention, then MLP."""

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        hidden: int,
        **options: Unpack[BlockOptions],
    ) -> None:
        super().__init__(dim, hidden, 2, **options)
        self.attention = Attention(dim, heads, options["projections"])

    def forward(self, x: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """Map (B, T, dim) to (B, T, dim); `mask` broadcasts to (B, H, T, T)."""
        x = self.residual(x, 0, lambda y: self.attention(y, mask=mask))
        return self.residual(x, 1, self.mlp)

    def attention_map(self, x: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """Return the weights of the self-attention when x enters, (B, H, T, T)."""
        return self.attention.maps(self.branch_input(x, 0), mask=mask)


@dataclass
class Cache:
    """Keys and values of one decoder block while decoding, (B, H, S, d)."""

    memory: tuple[Tensor, Tensor]
    past: tuple[Tensor, Tensor] | None = None

    def extend(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Append the keys and values of new positions; return all."""
        if self.past is not None:
            key = torch.cat((self.past[0], key), dim=2)
            value = torch.cat((self.past[1], value), dim=2)
        self.past = key, value
        return self.past


class DecoderBlock(Block):
    """Self-attention, cross-attention to an encoder's output, then MLP."""

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        hidden: int,
        **options: Unpack[BlockOptions],
    ) -> None:
        super().__init__(dim, hidden, 3, **options)
        self.attention = Attention(dim, heads, options["projections"])
        self.cross = Attention(dim, heads, options["projections"], cross=True)

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        memory_mask: Tensor | None = None,
    ) -> Tensor:
        """Attend from x (B, T, dim) to itself, then to memory (B, S, dim)."""
        x = self.residual(x, 0, lambda y: self.attention(y, mask=mask, causal=causal))
        return self._read(x, self.cross.keys_and_values(memory), memory_mask)

    def _read(
        self, x: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor | None
    ) -> Tensor:
        x = self.residual(x, 1, lambda y: self.cross(y, memory, mask=mask))
        return self.residual(x, 2, self.mlp)

    def start(self, memory: Tensor) -> Cache:
        """Return an empty cache for decoding against memory (B, S, dim)."""
        return Cache(self.cross.keys_and_values(memory))

    def step(
        self, x: Tensor, cache: Cache, *, memory_mask: Tensor | None = None
    ) -> Tensor:
        """Decode the next position, (B, 1, dim); it attends to all in `cache`."""

        def attend(y: Tensor) -> Tensor:
            query, key, value = self.attention.project(y)
            return self.attention.attend(query, *cache.extend(key, value))

        return self._read(self.residual(x, 0, attend), cache.memory, memory_mask)

    def attention_maps(
        self,
        x: Tensor,
        memory: Tensor,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        memory_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return weights of self- (B, H, T, T) and cross-attention (B, H, T, S)."""
        own = self.attention.maps(self.branch_input(x, 0), mask=mask, causal=causal)
        x = self.residual(x, 0, lambda y: self.attention(y, mask=mask, causal=causal))
        seen = self.cross.keys_and_values(memory)
        return own, self.cross.maps(self.branch_input(x, 1), seen, mask=memory_mask)


class BlockModel(Network):
    """A model of encoder and decoder blocks whose MLPs may lose hidden features."""

    encoder: nn.ModuleList
    decoder: nn.ModuleList

    def arguments(self) -> dict[str, object]:
        widths = [layer.weight.shape[0] for layer in self.hidden_layers().values()]
        return self.built_with | {"mlp_widths": widths}

    def prunable(self) -> dict[str, nn.Module]:
        """Return the hidden layers of the MLPs, from the input on.

        Nothing else of a block can lose outputs alone: residual sums share its width.
        """
        return {**self.hidden_layers()}

    def encoder_blocks(self) -> list[EncoderBlock]:
        return cast("list[EncoderBlock]", list(self.encoder))

    def decoder_blocks(self) -> list[DecoderBlock]:
        return cast("list[DecoderBlock]", list(self.decoder))

    def hidden_layers(self) -> dict[str, nn.Linear]:
        """Return the hidden layers of the MLPs by name, `encoder1` …."""
        return {
            f"{part}{number}": block.mlp[0]
            for part in ("encoder", "decoder")
            for number, block in enumerate(getattr(self, part), start=1)
        }
