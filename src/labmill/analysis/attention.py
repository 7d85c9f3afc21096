"""Rule examine: attention of a trained transformer, and linear probes of its layers.

Reads training and validation images only; the test set stays sealed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from labmill.analysis.probe import linear_probe
from labmill.analysis.records import (
    Examination,
    PositionSimilarity,
    ProbedLayer,
    Similarity,
)
from labmill.core.logs import log
from labmill.core.records import Provenance
from labmill.data.arrays import Part, save
from labmill.models.embedding import sinusoidal_table
from labmill.training import precision
from labmill.training.device import device_name
from labmill.training.trained_model import TrainedModel

BATCH = 250


def examine(
    trained: TrainedModel, *, arrays: Path, out: Path, provenance: Provenance
) -> None:
    """Write examine.npz and examine.json.

    The arrays are `pixels` uint8 (n, C, H, W) of sample images, their `labels` (n,) and
    `indices` in the pool; `maps` float16 (depth, n, heads, T, T), row attends to
    column; `cross` float16 (decoder_depth, n, heads, queries, patches) if there is a
    decoder; `positions` float32 (patches, dim) if any are added. The job's settings are
    `normalisation`, `probe_images`, `images` and `distance_images`.
    """
    device = precision.prepare(None, 1)
    settings = provenance.settings
    network: Any = trained.network().to(device).eval()
    mean, std = trained.normalisation(settings["normalisation"])
    data = trained.data()
    held_out = data.part("validation")
    train = data.part("train", min(settings["probe_images"], data.size("train")))

    def batches(pixels: np.ndarray) -> Iterator[Tensor]:
        for start in range(0, len(pixels), BATCH):
            rows = torch.from_numpy(pixels[start : start + BATCH])
            yield ((rows / 255 - mean) / std).to(device)

    with torch.inference_mode():
        chosen = samples(held_out, settings["images"])
        found = attention_arrays(network, next(batches(held_out.images[chosen])))
        measured = held_out.images[: settings["distance_images"]]
        distances = [attention_distance(network, x) for x in batches(measured)]
        sizes = torch.tensor([len(x) for x in batches(measured)]).double()
        before = [features(network, x) for x in batches(train.images)]
        after = [features(network, x) for x in batches(held_out.images)]
    save(
        arrays,
        pixels=held_out.images[chosen],
        labels=held_out.labels[chosen],
        indices=held_out.indices[chosen],
        **{name: value.cpu().numpy() for name, value in found.items()},
    )
    mean_distance = torch.einsum(
        "n,nlh->lh", sizes / sizes.sum(), torch.stack(distances)
    )
    probe = probes(joined(before), train.labels, joined(after), held_out.labels)
    for layer in probe:
        log.info(
            "layer %d: patches %s, token %s", layer.layer, layer.patches, layer.token
        )
    where = {"device": device_name(device), "threads": 1}
    Examination(
        attention_distance=mean_distance.tolist(),
        even_distance=float(patch_distances(network).mean()),
        distance_images=len(measured),
        stride=network.embedding.project.stride[0],
        probe=probe,
        probe_images=len(train),
        validation_images=len(held_out),
        position_similarity=position_similarity(network),
        provenance=provenance.model_copy(update=where),
    ).write(out)


def samples(part: Part, count: int) -> np.ndarray:
    """Return positions of `count` images of a part, taken from the classes in turn."""
    turn = np.empty(len(part), np.int64)
    for label in np.unique(part.labels):
        own = part.labels == label
        turn[own] = np.arange(own.sum())
    return np.lexsort((part.labels, turn))[:count]


def attention_arrays(network: Any, x: Tensor) -> dict[str, Tensor]:
    """Return attention maps for images x, and the table of positions."""
    found = {"maps": network.attention_maps(x).half()}
    if len(network.decoder):
        found["cross"] = network.cross_attention_maps(x).half()
    positions = network.positions_table()
    if positions is not None:
        found["positions"] = positions.float()
    return found


def attention_distance(network: Any, x: Tensor) -> Tensor:
    """Return the attention distance in pixels: float64 (depth, heads), mean over x.

    The mean over query patches of the distance between patch centres, weighted by
    attention among patches (arXiv:2010.11929, section 4.5); the class token is left out.
    """
    apart = patch_distances(network).to(x.device)
    patches = len(apart)
    maps = network.attention_maps(x)[..., -patches:, -patches:].double()
    share = maps / maps.sum(-1, keepdim=True).clamp(min=1e-12)
    return (share * apart).sum(-1).mean((1, 3)).cpu()


def patch_distances(network: Any) -> Tensor:
    """Return distances between the patches' centres in pixels, float64 (side², side²)."""
    line = torch.arange(network.embedding.side)
    centres = torch.cartesian_prod(line, line).double()
    return network.embedding.project.stride[0] * torch.cdist(centres, centres)


def position_similarity(network: Any) -> PositionSimilarity | None:
    """Return the similarity of added positions; None if there are not two to compare."""
    table = network.positions_table()
    if table is None or len(table) == 1:
        return None
    apart = patch_distances(network)
    steps = apart / network.embedding.project.stride[0]
    pairs = {"neighbours": (steps - 1).abs() < 1e-6, "others": steps > 1 + 1e-6}
    found = {}
    for name, rows in {
        "own": table.cpu(),
        "sinusoidal": sinusoidal_table(*table.shape),
    }.items():
        unit = functional.normalize(rows.double(), dim=1)
        alike = unit @ unit.T
        found[name] = Similarity(
            **{key: float(alike[pair].mean()) for key, pair in pairs.items()}
        )
    return PositionSimilarity(**found)


def features(network: Any, x: Tensor) -> list[dict[str, Tensor]]:
    """Return, per layer, the patches' mean (B, dim) and, if present, the class token."""
    patches = network.embedding.side**2
    found = []
    for tokens in network.hidden_states(x):
        layer = {"patches": tokens[:, -patches:].mean(1).cpu()}
        if tokens.shape[1] > patches:
            layer["token"] = tokens[:, 0].cpu()
        found.append(layer)
    return found


def joined(batches: list[list[dict[str, Tensor]]]) -> list[dict[str, Tensor]]:
    """Turn batches of layers into layers of all images."""
    return [
        {key: torch.cat([layer[key] for layer in layers]) for key in layers[0]}
        for layers in zip(*batches, strict=True)
    ]


def probes(
    train: list[dict[str, Tensor]],
    train_labels: np.ndarray,
    held_out: list[dict[str, Tensor]],
    held_out_labels: np.ndarray,
) -> list[ProbedLayer]:
    """Return the accuracy of linear probes on held-out features, layer by layer."""
    labels = torch.from_numpy(train_labels), torch.from_numpy(held_out_labels)
    found = []
    for number, (before, after) in enumerate(zip(train, held_out, strict=True)):
        scores: dict[str, float | None] = {"patches": None, "token": None}
        for key in before:
            scores[key] = linear_probe(before[key], labels[0], after[key], labels[1])
        found.append(ProbedLayer(layer=number, **scores))
    return found
