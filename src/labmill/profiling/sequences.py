"""Costs of a sequence model by block and length, and its attention maps."""

from typing import Any

import numpy as np
import torch

from labmill.core.records import Settings
from labmill.data.datasets.sequences import CLASSES, DIGITS, read_tokens
from labmill.flops.counter import count
from labmill.flops.table import Quantities
from labmill.profiling.records import (
    AttentionMaps,
    BlockCount,
    CountsAtLength,
    SequenceCosts,
)

# Lengths at which blocks are counted, next to the formulas' curves.
LENGTHS = (16, 32, 64, 128, 256, 512, 1024, 2048)
COUNTED: Settings = {"convention": "everything", "dtype": torch.float16}


def sequence_costs(network: Any, images: np.ndarray) -> SequenceCosts:
    """Return counts and attention maps of a trained network."""
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
    return SequenceCosts(
        length=source.shape[1],
        heads=network.encoder[0].attention.project.heads,
        dim=network.embedding.embedding_dim,
        hidden=network.encoder[0].mlp[0].out_features,
        vocabulary=network.embedding.num_embeddings,
        total=block_count(table.total),
        blocks={name: block_count(table.under(name)) for name in parts},
        lengths=[at_length(network, length) for length in LENGTHS],
        maps={
            name: attention(network, source[first], target[first])
            for label, name in enumerate(CLASSES)
            for first in (source[:, 0] == DIGITS + label).nonzero()[:1, 0].tolist()
        },
    )


def one_sequence(images: np.ndarray, device: torch.device) -> tuple[torch.Tensor, ...]:
    """Return source and target of the first image, int64 (1, L), for a count."""
    return tuple(read_tokens(torch.from_numpy(images[:1]).to(device) / 255))


def block_count(quantities: Quantities) -> BlockCount:
    """Return the counts that the report shows."""
    return BlockCount(
        **{name: getattr(quantities, name) for name in BlockCount.model_fields}
    )


def at_length(network: Any, length: int) -> CountsAtLength:
    """Count self-attention and feed-forward part of the first encoder block."""
    block = network.encoder[0]
    x = torch.zeros(1, length, network.embedding.embedding_dim)
    x = x.to(next(network.parameters()).device)
    return CountsAtLength(
        n=length,
        attention=block_count(count(block.attention, x, **COUNTED).total),
        mlp=block_count(count(block.mlp, x, **COUNTED).total),
    )


def attention(
    network: Any, source: torch.Tensor, target: torch.Tensor
) -> AttentionMaps:
    """Return the tokens of one sequence and its attention weights."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        maps = network.eval().attention_maps(
            source[None].to(device), target[None].to(device)
        )
    weights = {name: found[:, 0].cpu().numpy().round(4) for name, found in maps.items()}
    return AttentionMaps(
        source=source.tolist(),
        target=target.tolist(),
        **{name: found.tolist() for name, found in weights.items()},
    )
