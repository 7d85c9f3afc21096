"""What a trained transformer looks at, and what each of its layers knows.

Reads training and validation images only; the test set stays sealed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from labmill.data.arrays import Part
from labmill.data.splits import save
from labmill.evaluation.probe import linear_probe
from labmill.models.embedding import sinusoidal_table
from labmill.runtime import log, write_json
from labmill.trained import Trained
from labmill.training import choices
from labmill.training.device import device_name

BATCH = 250


def examine(
    trained: Trained,
    *,
    arrays: Path,
    figures: Path,
    provenance: dict[str, Any],
) -> None:
    """Write `arrays` (examine.npz) and `figures` (examine.json).

    arrays: `pixels` uint8 (n, C, H, W) of sample images, their `labels` (n,) and
    `indices` in the pool; `maps` float16 (depth, n, heads, T, T), rows look at columns;
    `cross` float16 (decoder_depth, n, heads, queries, patches) where there is a
    decoder; `positions` float32 (patches, dim) where any are added.
    figures: `attention_distance` (depth × heads), in pixels, over `distance_images`
    validation images, the patches' `stride`, and as `even_distance` what attention
    spread evenly would give; `position_similarity`, `{own, sinusoidal}` (see there), or
    null; `probe`: per layer from 0, the embedding,
    accuracy on `validation_images` of a linear probe on the patches' mean and, once it
    is there, on the class token.
    """
    device = choices.prepare(None, 1)
    settings = provenance["settings"]
    network = trained.network().to(device).eval()
    mean, std = trained.normaliser(settings["normalisation"])
    data = trained.data()
    held_out = data.part("validation")
    train = data.part("train", min(settings["probe_images"], data.size("train")))

    def batches(pixels: np.ndarray) -> Iterator[Tensor]:
        for start in range(0, len(pixels), BATCH):
            rows = torch.from_numpy(pixels[start : start + BATCH])
            yield ((rows / 255 - mean) / std).to(device)

    with torch.inference_mode():
        chosen = samples(held_out, settings["images"])
        found = looks(network, next(batches(held_out.images[chosen])))
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
    result = {
        "attention_distance": mean_distance.tolist(),
        "even_distance": float(patch_distances(network).mean()),
        "distance_images": len(measured),
        "stride": network.embedding.project.stride[0],
        "probe": probes(joined(before), train.labels, joined(after), held_out.labels),
        "probe_images": len(train),
        "validation_images": len(held_out),
        "position_similarity": position_similarity(network),
        "provenance": provenance | {"device": device_name(device), "threads": 1},
    }
    for layer in result["probe"]:
        log.info("layer %(layer)d: patches %(patches)s, token %(token)s", layer)
    write_json(figures, result)


def samples(part: Part, count: int) -> np.ndarray:
    """Places of `count` images of a part, taken from the classes in turn."""
    turn = np.empty(len(part), np.int64)
    for label in np.unique(part.labels):
        own = part.labels == label
        turn[own] = np.arange(own.sum())
    return np.lexsort((part.labels, turn))[:count]


def looks(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Attention maps for images x, and the positions' table."""
    found = {"maps": network.attention_maps(x).half()}
    if len(network.decoder):
        found["cross"] = network.cross_attention_maps(x).half()
    positions = network.positions_table()
    if positions is not None:
        found["positions"] = positions.float()
    return found


def attention_distance(network: nn.Module, x: Tensor) -> Tensor:
    """How far patches look, in pixels: float64 (depth, heads), mean over images x.

    The mean over query patches of the distance between patch centres, weighted by
    attention among patches (arXiv:2010.11929, section 4.5); the class token is left out.
    """
    apart = patch_distances(network).to(x.device)
    patches = len(apart)
    maps = network.attention_maps(x)[..., -patches:, -patches:].double()
    share = maps / maps.sum(-1, keepdim=True).clamp(min=1e-12)
    return (share * apart).sum(-1).mean((1, 3)).cpu()


def patch_distances(network: nn.Module) -> Tensor:
    """Distances between the patches' centres in pixels, float64 (side², side²)."""
    line = torch.arange(network.embedding.side)
    centres = torch.cartesian_prod(line, line).double()
    return network.embedding.project.stride[0] * torch.cdist(centres, centres)


def position_similarity(network: nn.Module) -> dict[str, dict[str, float]] | None:
    """How alike the added positions are: of the network, and of a sinusoidal table.

    Each `{neighbours, others}`: the mean cosine similarity of patches side by side or
    one below the other, and of all other pairs. None where there is nothing to compare.
    """
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
        found[name] = {key: float(alike[pair].mean()) for key, pair in pairs.items()}
    return found


def features(network: nn.Module, x: Tensor) -> list[dict[str, Tensor]]:
    """Per layer: the patches' mean (B, dim) and, once it is there, the class token."""
    patches = network.embedding.side**2
    found = []
    for tokens in network.hidden_states(x):
        layer = {"patches": tokens[:, -patches:].mean(1).cpu()}
        if tokens.shape[1] > patches:
            layer["token"] = tokens[:, 0].cpu()
        found.append(layer)
    return found


def joined(batches: list[list[dict[str, Tensor]]]) -> list[dict[str, Tensor]]:
    """Batches of layers as layers of all images."""
    return [
        {key: torch.cat([layer[key] for layer in layers]) for key in layers[0]}
        for layers in zip(*batches, strict=True)
    ]


def probes(
    train: list[dict[str, Tensor]],
    train_labels: np.ndarray,
    held_out: list[dict[str, Tensor]],
    held_out_labels: np.ndarray,
) -> list[dict[str, Any]]:
    """`{layer, patches, token}` per layer; `token` is None where there is none."""
    labels = torch.from_numpy(train_labels), torch.from_numpy(held_out_labels)
    found = []
    for number, (before, after) in enumerate(zip(train, held_out, strict=True)):
        scores: dict[str, Any] = {"layer": number, "patches": None, "token": None}
        for key in before:
            scores[key] = linear_probe(before[key], labels[0], after[key], labels[1])
        found.append(scores)
    return found
