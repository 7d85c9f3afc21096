"""What the report says of a sequence model beyond its cost: counts by block at 16 bits,
counts at other lengths, and where the trained network looks."""

from typing import Any

import numpy as np
import torch
from torch import nn

from labmill.data.sequences import CLASSES, DIGITS, read_tokens
from labmill.measure.operations import count

# Lengths at which blocks are counted, beside the formulas' curves.
LENGTHS = (16, 32, 64, 128, 256, 512, 1024, 2048)
COUNTED: dict[str, Any] = {"convention": "everything", "dtype": torch.float16}


def sequence_facts(network: nn.Module, images: np.ndarray) -> dict[str, Any]:
    """Counts and attention maps of a trained network, as JSON-able values.

    images: uint8 (n, 1, 2, L). `length`, `total` and `blocks` (a block's path → its
    counts) are of one sequence; `lengths` counts the first encoder block's two parts at
    other lengths; `maps` has, for the first sequence of each kind, its tokens and the
    weights of every layer and head.
    """
    device = next(network.parameters()).device
    table = count(network, one_sequence(images, device), **COUNTED)
    source, target = read_tokens(torch.from_numpy(images) / 255)
    parts = [
        f"{side}.{number}.{part}"
        for side in ("encoder", "decoder")
        for number, block in enumerate(getattr(network, side))
        for part in ("attention", "cross", "mlp")
        if hasattr(block, part)
    ]
    return {
        "length": source.shape[1],
        "heads": network.encoder[0].attention.project.heads,
        "dim": network.embedding.embedding_dim,
        "hidden": network.encoder[0].mlp[0].out_features,
        "vocabulary": network.embedding.num_embeddings,
        "total": figures(table.total),
        "blocks": {name: figures(table.under(name)) for name in parts},
        "lengths": [at_length(network, length) for length in LENGTHS],
        "maps": {
            name: attention(network, source[first], target[first])
            for label, name in enumerate(CLASSES)
            for first in (source[:, 0] == DIGITS + label).nonzero()[:1, 0].tolist()
        },
    }


def one_sequence(images: np.ndarray, device: torch.device) -> tuple[torch.Tensor, ...]:
    """Source and target of the first image, int64 (1, L): what a count is made for."""
    return read_tokens(torch.from_numpy(images[:1]).to(device) / 255)


def figures(quantities: Any) -> dict[str, int]:
    """The counts that the report shows."""
    names = ("multiplications", "additions", "operations", "parameters")
    sizes = ("activation_bytes", "traffic_bytes")
    return {name: getattr(quantities, name) for name in (*names, *sizes)}


def at_length(network: nn.Module, length: int) -> dict[str, Any]:
    """Self-attention and feed-forward part of the first encoder block."""
    block = network.encoder[0]
    x = torch.zeros(1, length, network.embedding.embedding_dim)
    x = x.to(next(network.parameters()).device)
    found = {
        "attention": count(block.attention, x, **COUNTED),
        "mlp": count(block.mlp, x, **COUNTED),
    }
    return {"n": length} | {name: figures(c.total) for name, c in found.items()}


def attention(
    network: nn.Module, source: torch.Tensor, target: torch.Tensor
) -> dict[str, Any]:
    """Tokens of one sequence, and the weights `(layer, head, query, key)` of its maps."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        maps = network.eval().attention_maps(
            source[None].to(device), target[None].to(device)
        )
    weights = {name: found[:, 0].cpu().numpy().round(4) for name, found in maps.items()}
    return {
        "source": source.tolist(),
        "target": target.tolist(),
        **{name: found.tolist() for name, found in weights.items()},
    }
