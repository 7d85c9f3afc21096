"""Multi-head attention (Vaswani et al., 2017, arXiv:1706.03762).

All heads of all sequences go through one `scaled_dot_product_attention`. Shapes in
comments: B sequences, T queries, S keys, H heads, d features per head.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Projections = Literal["headwise", "joint"]


class JointProjection(nn.Module):
    """Several linear maps dim → dim as one matrix; every head reads all features."""

    def __init__(self, dim: int, heads: int, parts: int):
        super().__init__()
        self.heads, self.parts = heads, parts
        self.linear = nn.Linear(dim, parts * dim)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map (B, T, dim) to `parts` views (B, H, T, d)."""
        y = self.linear(x).unflatten(-1, (self.parts, self.heads, -1))
        return y.permute(2, 0, 3, 1, 4).unbind(0)


class HeadwiseProjection(nn.Module):
    """Several linear maps d → d inside each head's slice of the features.

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
        """Map (B, T, dim) to `parts` views (B, H, T, d)."""
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
    each head's slice and has none. Boolean masks are True where a key may be read.
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

        `memory` comes from `keys_and_values`, `mask` broadcasts to (B, H, T, S).
        """
        query, *own = self.project(x)
        return self.attend(query, *(memory or own), mask=mask, causal=causal)

    def keys_and_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Project a memory (B, S, dim) to keys and values (B, H, S, d)."""
        assert self.project_memory is not None
        key, value = self.project_memory(memory)
        return key, value

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Return softmax(q kᵀ / √d) v of (B, H, T, d), after the output projection."""
        y = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=causal
        )
        out: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return out

    def maps(
        self,
        x: Tensor,
        memory: tuple[Tensor, Tensor] | None = None,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Return the attention weights themselves, (B, H, T, S), for figures."""
        query, *own = self.project(x)
        key, _ = memory or own
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        if causal:
            mask = causal_mask(scores.shape[-1], scores.device)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        return scores.softmax(-1)


def causal_mask(length: int, device: torch.device) -> Tensor:
    """Return True where a query may look: at itself and at what came before."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()
