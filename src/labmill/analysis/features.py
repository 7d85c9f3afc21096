"""Rule represent: features of a network, their neighbours, mixing, rotations.

Reads validation images only; the test set stays sealed.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from labmill.analysis.attention import samples
from labmill.analysis.records import Mixing, Representation
from labmill.core.logs import log
from labmill.core.records import Provenance
from labmill.data.arrays import Part, save
from labmill.models.foreign import features as features_of
from labmill.training import precision
from labmill.training.device import device_name
from labmill.training.tasks import TASKS
from labmill.training.trained_model import TrainedModel

BATCH = 250
TURNS = 4


def represent(
    trained: TrainedModel, *, arrays: Path, out: Path, provenance: Provenance
) -> None:
    """Write represent.npz and represent.json, about validation images of all classes.

    The arrays are `points` float32 (n, 2), the features' first two principal
    components; `labels` int64 (n,); `neighbours` int64 (queries, 1 + k), positions in
    the pool of some images and of the k others nearest by angle of their features, and
    `neighbour_labels` of the same shape. The job's settings are `normalisation`,
    `images`, `neighbours`, `queries` and `task`.
    """
    device = precision.prepare(None, 1)
    settings = provenance.settings
    network: Any = trained.network().to(device).eval()
    mean, std = trained.normalisation(settings["normalisation"])
    part = balanced(trained.data().part("validation"), settings["images"])
    pixels, labels = torch.from_numpy(part.images), torch.from_numpy(part.labels)
    classes = int(labels.max()) + 1

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in zip(pixels.split(BATCH), labels.split(BATCH), strict=True):
            yield ((x / 255 - mean) / std).to(device), y

    with torch.inference_mode():
        features = torch.cat([flat(features_of(network, x)) for x, _ in batches()])
        points, explained = principal(features)
        nearest = neighbours(features, settings["neighbours"])
        mixing = mixing_of(network, batches(), classes)
        rotations = None
        if settings["task"] == "rotation":
            rotations = confused_rotations(network, batches(), classes)
    queries = torch.from_numpy(samples(part, settings["queries"]))
    rows = torch.cat([queries[:, None], nearest[queries]], dim=1).numpy()
    save(
        arrays,
        points=points.float().numpy(),
        labels=part.labels,
        neighbours=part.indices[rows],
        neighbour_labels=part.labels[rows],
    )
    agreement = float((labels[nearest] == labels[:, None]).double().mean())
    log.info("agreement of neighbours %.4f", agreement)
    where = {"device": device_name(device), "threads": 1}
    Representation(
        images=len(labels),
        neighbours=settings["neighbours"],
        explained=explained,
        agreement=agreement,
        mixing=mixing,
        rotations=rotations,
        provenance=provenance.model_copy(update=where),
    ).write(out)


def balanced(part: Part, count: int) -> Part:
    """Return `count` images of a part, taken from the classes in turn, in its order."""
    rows = np.sort(samples(part, count))
    return Part(part.images[rows], part.labels[rows], part.indices[rows])


def flat(features: Tensor) -> Tensor:
    """Return the features of a batch as float64 (n, d) on the CPU."""
    return features.flatten(1).double().cpu()


def principal(features: Tensor) -> tuple[Tensor, list[float]]:
    """Return the first two principal components (n, 2), and their shares of variance.

    A component's sign is arbitrary: its largest loading is made positive.
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
    """Return positions (n, k) of the k others nearest by angle, the nearest first."""
    directions = nn.functional.normalize(features, dim=1)
    similarity = directions @ directions.T
    similarity.fill_diagonal_(-torch.inf)
    return similarity.topk(min(count, len(features) - 1), dim=1).indices


def mixing_of(
    network: Any, batches: Iterator[tuple[Tensor, Tensor]], classes: int
) -> Mixing | None:
    """Return mean and deviation of the weights of each block's branches, by class."""
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
        rows: list[Any] = torch.stack(list(parts), dim=1).tolist()
        return rows

    return Mixing(
        mean=table([part.mean(1) for part in by_class]),
        sd=table([part.std(1, correction=0) for part in by_class]),
    )


def confused_rotations(
    network: nn.Module, batches: Iterator[tuple[Tensor, Tensor]], classes: int
) -> list[Any]:
    """Count rotations by class, quarter turns and prediction."""
    counts = torch.zeros(classes * TURNS * TURNS, dtype=torch.int64)
    for x, y in batches:
        inputs, targets = TASKS["rotation"].examples(x, y)
        taken = network(inputs).argmax(1).cpu()
        cells = (y.repeat_interleave(TURNS) * TURNS + targets.cpu()) * TURNS + taken
        counts += cells.bincount(minlength=len(counts))
    table: list[Any] = counts.view(classes, TURNS, TURNS).tolist()
    return table
