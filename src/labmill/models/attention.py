"""Attention and the blocks built from it (Vaswani et al., 2017, arXiv:1706.03762).

All heads of all sequences go through one `scaled_dot_product_attention`. Shapes in
comments: B sequences, T queries, S keys, H heads, d features per head.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}
Activation = Literal["relu", "tanh", "gelu"]
Projections = Literal["headwise", "joint"]
Norm = Literal["pre", "post"]


class JointProjection(nn.Module):
    """`parts` linear maps dim → dim as one matrix; every head sees all features."""

    def __init__(self, dim: int, heads: int, parts: int):
        super().__init__()
        self.heads, self.parts = heads, parts
        self.linear = nn.Linear(dim, parts * dim)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, T, dim) → `parts` views (B, H, T, d)."""
        y = self.linear(x).unflatten(-1, (self.parts, self.heads, -1))
        return y.permute(2, 0, 3, 1, 4).unbind(0)


class HeadwiseProjection(nn.Module):
    """`parts` linear maps d → d inside each head's own slice of the features.

    One batched matrix product over the heads; initialised as `heads * parts` separate
    `nn.Linear(d, d)` would be.
    """

    def __init__(self, dim: int, heads: int, parts: int):
        super().__init__()
        self.parts = parts
        width = dim // heads
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(heads, width, parts * width))
        self.bias = nn.Parameter(torch.empty(heads, 1, parts * width))
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, T, dim) → `parts` views (B, H, T, d)."""
        batch, length, _ = x.shape
        heads, width, _ = self.weight.shape
        slices = x.reshape(batch * length, heads, width).transpose(0, 1)
        y = torch.baddbmm(self.bias, slices, self.weight)  # (H, B·T, parts·d)
        y = y.view(heads, batch, length, self.parts, width)
        return y.permute(3, 1, 0, 2, 4).unbind(0)


PROJECTIONS = {"joint": JointProjection, "headwise": HeadwiseProjection}


class Attention(nn.Module):
    """Multi-head attention, to itself or (`cross`) to a memory.

    `joint` is the standard layer with an output projection; `headwise` projects inside
    each head's slice and has none. Boolean masks are True where a key may be seen.
    """

    def __init__(
        self, dim: int, heads: int, projections: Projections, *, cross: bool = False
    ):
        super().__init__()
        project = PROJECTIONS[projections]
        self.project = project(dim, heads, 1 if cross else 3)
        self.project_memory = project(dim, heads, 2) if cross else None
        self.out = nn.Linear(dim, dim) if projections == "joint" else nn.Identity()

    def forward(
        self,
        x: Tensor,
        memory: tuple[Tensor, Tensor] | None = None,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Attend from x (B, T, dim), to itself or to projected keys and values.

        `memory` is what `project_memory` returned, `mask` broadcasts to (B, H, T, S).
        """
        query, *own = self.project(x)
        return self.attend(query, *(memory or own), mask=mask, causal=causal)

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """softmax(q kᵀ / √d) v of (B, H, T, d), then the output projection."""
        y = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=causal
        )
        return self.out(y.transpose(1, 2).flatten(2))

    def maps(
        self,
        x: Tensor,
        memory: tuple[Tensor, Tensor] | None = None,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """The attention weights themselves, (B, H, T, S), for figures."""
        query, *own = self.project(x)
        key, _ = memory or own
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        if causal:
            mask = causal_mask(scores.shape[-1], scores.device)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        return scores.softmax(-1)


def causal_mask(length: int, device: torch.device) -> Tensor:
    """True where a query may look: at itself and at what came before."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


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


def prunable_mlps(
    encoder: Iterable[EncoderBlock], decoder: Iterable[DecoderBlock]
) -> dict[str, nn.Module]:
    """The hidden layer of each MLP, by name: what pruning may make narrower."""
    return {f"encoder{i}": block.mlp[0] for i, block in enumerate(encoder, start=1)} | {
        f"decoder{i}": block.mlp[0] for i, block in enumerate(decoder, start=1)
    }
