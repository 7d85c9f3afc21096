"""What a network makes of images: features and their neighbours, mixing, rotations.

Reads validation images only; the test set stays sealed.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from labmill.data.arrays import Part
from labmill.data.splits import save
from labmill.evaluation.examine import samples
from labmill.runtime import log, write_json
from labmill.trained import Trained
from labmill.training import choices
from labmill.training.device import device_name
from labmill.training.tasks import TASKS

BATCH = 250
TURNS = 4


def represent(
    trained: Trained,
    *,
    arrays: Path,
    figures: Path,
    provenance: dict[str, Any],
) -> None:
    """Write `arrays` (represent.npz) and `figures` (represent.json).

    Both are about `images` validation images, balanced over the classes. arrays:
    `points` float32 (n, 2), the features' first two principal components; `labels`
    int64 (n,); `neighbours` int64 (queries, 1 + k), places in the pool of some images
    and of the k others whose features are nearest by angle, and `neighbour_labels` of
    the same shape. figures: `explained`, the components' shares of the variance;
    `agreement`, the share of all images' k neighbours that are of the image's class;
    `mixing`, `{mean, sd}` (blocks × classes × branches) of a network that weighs its
    convolutions; `rotations`, counts (classes × turned by × taken for) of a network
    that tells rotations apart; both null for others.
    """
    device = choices.prepare(None, 1)
    settings = provenance["settings"]
    network = trained.network().to(device).eval()
    mean, std = trained.normaliser(settings["normalisation"])
    kept = balanced(trained.data().part("validation"), settings["images"])
    pixels, labels = torch.from_numpy(kept.images), torch.from_numpy(kept.labels)
    classes = int(labels.max()) + 1
    turning = settings["task"] == "rotation"

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in zip(pixels.split(BATCH), labels.split(BATCH), strict=True):
            yield ((x / 255 - mean) / std).to(device), y

    with torch.inference_mode():
        features = torch.cat([flat(network.forward_features(x)) for x, _ in batches()])
        points, explained = principal(features)
        nearest = neighbours(features, settings["neighbours"])
        mixing = mixed(network, batches(), classes)
        rotations = turned(network, batches(), classes) if turning else None
    queries = torch.from_numpy(samples(kept, settings["queries"]))
    rows = torch.cat([queries[:, None], nearest[queries]], dim=1).numpy()
    save(
        arrays,
        points=points.float().numpy(),
        labels=kept.labels,
        neighbours=kept.indices[rows],
        neighbour_labels=kept.labels[rows],
    )
    result = {
        "images": len(labels),
        "neighbours": settings["neighbours"],
        "explained": explained,
        "agreement": float((labels[nearest] == labels[:, None]).double().mean()),
        "mixing": mixing,
        "rotations": rotations,
        "provenance": provenance | {"device": device_name(device), "threads": 1},
    }
    log.info("agreement of neighbours %.4f", result["agreement"])
    write_json(figures, result)


def balanced(part: Part, count: int) -> Part:
    """As many images of a part, taken from the classes in turn, in the part's order."""
    places = np.sort(samples(part, count))
    return Part(part.images[places], part.labels[places], part.indices[places])


def flat(features: Tensor) -> Tensor:
    """Features of a batch as float64 (n, d) on the CPU."""
    return features.flatten(1).double().cpu()


def principal(features: Tensor) -> tuple[Tensor, list[float]]:
    """First two principal components (n, 2), and their shares of the variance.

    A component's sign is free: its largest loading is made positive.
    """
    centred = features - features.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred)
    loadings = vectors[:, -2:].flip(1)
    places = loadings.abs().argmax(0)
    loadings = loadings * loadings.gather(0, places[None]).sign()
    total = float(values.sum())
    shares = values[-2:].flip(0).clamp(min=0) / total if total > 0 else torch.zeros(2)
    return centred @ loadings, shares.tolist()


def neighbours(features: Tensor, count: int) -> Tensor:
    """Places (n, k) of the k others nearest by angle, the nearest first."""
    directions = nn.functional.normalize(features, dim=1)
    similarity = directions @ directions.T
    similarity.fill_diagonal_(-torch.inf)
    return similarity.topk(min(count, len(features) - 1), dim=1).indices


def mixed(
    network: nn.Module, batches: Iterator[tuple[Tensor, Tensor]], classes: int
) -> dict[str, Any] | None:
    """Mean and deviation of the weights of each block's branches, class by class."""
    if not hasattr(network, "mixing_weights"):
        return None
    found, labels = [], []
    for x, y in batches:
        blocks = network.mixing_weights(x)
        if not blocks:
            return None
        found.append(torch.stack(blocks).double().cpu())
        labels.append(y)
    weights, of = torch.cat(found, dim=1), torch.cat(labels)
    by_class = [weights[:, of == one] for one in range(classes)]

    def table(parts: Sequence[Tensor]) -> list[Any]:
        return torch.stack(list(parts), dim=1).tolist()

    return {
        "mean": table(part.mean(1) for part in by_class),
        "sd": table(part.std(1, correction=0) for part in by_class),
    }


def turned(
    network: nn.Module, batches: Iterator[tuple[Tensor, Tensor]], classes: int
) -> list[Any]:
    """Counts (classes, quarter turns, taken for): which rotations a network confuses."""
    counts = torch.zeros(classes * TURNS * TURNS, dtype=torch.int64)
    for x, y in batches:
        inputs, targets = TASKS["rotation"].examples(x, y)
        taken = network(inputs).argmax(1).cpu()
        cells = (y.repeat_interleave(TURNS) * TURNS + targets.cpu()) * TURNS + taken
        counts += cells.bincount(minlength=len(counts))
    return counts.view(classes, TURNS, TURNS).tolist()
