"""Encoder and decoder blocks, and what models made of them share.

Shapes in docstrings as in `labmill.models.attention`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from labmill.models.attention import Attention, Projections

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}
Activation = Literal["relu", "tanh", "gelu"]
Norm = Literal["pre", "post"]


class Block(nn.Module):
    """What encoder and decoder blocks share: the MLP and the residual branches."""

    def __init__(
        self,
        dim: int,
        hidden: int,
        branches: int,
        *,
        activation: Activation,
        norm: Norm,
        dropout: float,
    ):
        super().__init__()
        self.pre_norm = norm == "pre"
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(branches))
        self.mlp = nn.Sequential(
            nn.Linear(dim, hidden),
            ACTIVATIONS[activation](),
            nn.Dropout(dropout),
            nn.Linear(hidden, dim),
        )
        self.dropout = nn.Dropout(dropout)

    def before(self, x: Tensor, branch: int) -> Tensor:
        """What branch number `branch` is given when x enters it."""
        return self.norms[branch](x) if self.pre_norm else x

    def residual(
        self, x: Tensor, branch: int, function: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """x + f(LN(x)) with pre-norm, LN(x + f(x)) with post-norm."""
        y = x + self.dropout(function(self.before(x, branch)))
        return y if self.pre_norm else self.norms[branch](y)


class EncoderBlock(Block):
    """Self-attention, then MLP."""

    def __init__(self, dim: int, heads: int, projections: Projections, **block):
        super().__init__(dim, branches=2, **block)
        self.attention = Attention(dim, heads, projections)

    def forward(self, x: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """(B, T, dim) → (B, T, dim); `mask` broadcasts to (B, H, T, T)."""
        x = self.residual(x, 0, lambda y: self.attention(y, mask=mask))
        return self.residual(x, 1, self.mlp)

    def attention_map(self, x: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """The weights of the self-attention when x enters, (B, H, T, T)."""
        return self.attention.maps(self.before(x, 0), mask=mask)


@dataclass
class Cache:
    """What one decoder block keeps while decoding: keys and values, (B, H, S, d)."""

    memory: tuple[Tensor, Tensor]
    past: tuple[Tensor, Tensor] | None = None

    def extend(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Append the keys and values of new positions; all there are."""
        if self.past is not None:
            key = torch.cat((self.past[0], key), dim=2)
            value = torch.cat((self.past[1], value), dim=2)
        self.past = key, value
        return self.past


class DecoderBlock(Block):
    """Self-attention, cross-attention to an encoder's output, then MLP."""

    def __init__(self, dim: int, heads: int, projections: Projections, **block):
        super().__init__(dim, branches=3, **block)
        self.attention = Attention(dim, heads, projections)
        self.cross = Attention(dim, heads, projections, cross=True)

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        memory_mask: Tensor | None = None,
    ) -> Tensor:
        """x (B, T, dim) attends to itself, then to memory (B, S, dim)."""
        x = self.residual(x, 0, lambda y: self.attention(y, mask=mask, causal=causal))
        return self._read(x, self.cross.project_memory(memory), memory_mask)

    def _read(
        self, x: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor | None
    ) -> Tensor:
        x = self.residual(x, 1, lambda y: self.cross(y, memory, mask=mask))
        return self.residual(x, 2, self.mlp)

    def start(self, memory: Tensor) -> Cache:
        """An empty cache for decoding against memory (B, S, dim)."""
        return Cache(self.cross.project_memory(memory))

    def step(
        self, x: Tensor, cache: Cache, *, memory_mask: Tensor | None = None
    ) -> Tensor:
        """The next position, (B, 1, dim): sees all that went through `cache` before."""

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
        """Weights of self- (B, H, T, T) and cross-attention (B, H, T, S)."""
        own = self.attention.maps(self.before(x, 0), mask=mask, causal=causal)
        x = self.residual(x, 0, lambda y: self.attention(y, mask=mask, causal=causal))
        seen = self.cross.project_memory(memory)
        return own, self.cross.maps(self.before(x, 1), seen, mask=memory_mask)


class BlockModel(nn.Module):
    """A model of encoder and decoder blocks whose MLPs may lose hidden features."""

    encoder: nn.ModuleList
    decoder: nn.ModuleList
    built_with: dict[str, object]

    def arguments(self) -> dict[str, object]:
        """Arguments with which `build` makes a net of this one's present shapes."""
        blocks = [*self.encoder, *self.decoder]
        widths = [block.mlp[0].weight.shape[0] for block in blocks]
        return self.built_with | {"mlp_widths": widths}

    def prunable(self) -> dict[str, nn.Module]:
        """Hidden layers of the MLPs, by name (`encoder1` …), from the input on.

        Nothing else of a block can lose outputs alone: residual sums share its width.
        """
        return {
            f"{part}{number}": block.mlp[0]
            for part in ("encoder", "decoder")
            for number, block in enumerate(getattr(self, part), start=1)
        }

    def pruners(self) -> dict[type[nn.Module], object]:
        """How torch-pruning is to cut layers of a kind that it does not know."""
        return {}
