"""Datasets: fetched once, verified, decoded once to uint8 arrays with a card.

A file of this folder with a function `decode` is a dataset. Its constants are literals,
read from the source text: `CLASSES`, `IMAGE_SIZE`, `CHANNELS` (None where the arguments
decide), `AUGMENTATION` (what `augmentation: dataset` means), `ORIGIN`
(its page), `SOURCES` (the files `decode` reads: name -> `size` in bytes and `sha256`),
`URLS` (base addresses of the files, tried in order) and, where the files come packed,
`ARCHIVE` (the archive's name; names in `SOURCES` are paths in it).
"""

import hashlib
import importlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("labmill")

CHUNK = 4096  # images per step of a statistic: bounds the memory it takes


@dataclass(frozen=True)
class Decoded:
    """What `decode` returns: the whole pool, training images first.

    images: uint8 (N, channels, size, size); labels: int64 (N,), 0..k-1; train: number
    of official training images, N where there is no official test part; digests:
    SHA-256 by name of what was read and is not in `SOURCES`.
    """

    images: "np.ndarray"
    labels: "np.ndarray"
    train: int
    classes: tuple[str, ...]
    digests: Mapping[str, str] = field(default_factory=dict)


def prepare(
    dataset: str,
    arguments: Mapping[str, Any],
    *,
    images: Path,
    labels: Path,
    card: Path,
    mirror: str | None = None,
    downloads: Path = Path("data/downloads"),
) -> None:
    """Fetch, verify and decode one dataset; write its arrays and its card.

    Writes `images` (uint8, (N, channels, size, size)), `labels` (int64, (N,)) and
    `card` (JSON). Raw files are kept in `downloads/<dataset>/`. `mirror`: a folder or
    base URL searched first, before the one in LABMILL_MIRROR. Raises LabmillError when
    a file cannot be had or is not what it should be.
    """
    import numpy as np

    from labmill.data.download import fetch
    from labmill.runtime import atomic_write, write_json

    module = importlib.import_module(f"labmill.data.{dataset}")
    files = fetch(
        dataset,
        module.SOURCES,
        urls=module.URLS,
        archive=getattr(module, "ARCHIVE", None),
        folder=Path(downloads) / dataset,
        mirror=mirror,
    )
    decoded = module.decode(files, **arguments)
    for path, array in ((images, decoded.images), (labels, decoded.labels)):
        with atomic_write(path, "wb") as file:
            np.save(file, array, allow_pickle=False)
    summary = describe(dataset, dict(arguments), module, decoded)
    write_json(card, summary)
    log.info(
        "%s: %d training and %d test images, %d classes, mean %s, deviation %s",
        dataset,
        summary["official"]["train"],
        summary["official"]["test"],
        len(decoded.classes),
        ", ".join(f"{value:.4f}" for value in summary["mean"]),
        ", ".join(f"{value:.4f}" for value in summary["std"]),
    )


def describe(
    dataset: str, arguments: dict[str, Any], module: Any, decoded: Decoded
) -> dict[str, Any]:
    """The card: provenance and statistics of a decoded pool, as plain JSON values.

    `digest` is the SHA-256 of the arrays; `digests` those of the raw files. Mean and
    standard deviation are per channel, in 0..1, over the official training images.
    """
    import numpy as np

    train, total = decoded.train, len(decoded.images)
    mean, std = mean_and_std(decoded.images[:train])
    digest = hashlib.sha256(repr(decoded.images.shape).encode())
    digest.update(np.ascontiguousarray(decoded.images))
    digest.update(np.ascontiguousarray(decoded.labels))
    counts = {
        part: np.bincount(labels, minlength=len(decoded.classes)).tolist()
        for part, labels in (
            ("train", decoded.labels[:train]),
            ("test", decoded.labels[train:]),
        )
    }
    return {
        "name": dataset,
        "arguments": arguments,
        "source": module.ORIGIN,
        "digest": digest.hexdigest(),
        "digests": {name: entry["sha256"] for name, entry in module.SOURCES.items()}
        | dict(decoded.digests),
        "classes": list(decoded.classes),
        "image_size": decoded.images.shape[-1],
        "channels": decoded.images.shape[1],
        "official": {"train": train, "test": total - train},
        "class_counts": counts,
        "mean": mean,
        "std": std,
        "vocabulary": getattr(module, "VOCABULARY", None),
    }


def mean_and_std(images: "np.ndarray") -> tuple[list[float], list[float]]:
    """Mean and population deviation per channel in 0..1 of uint8 (N, C, H, W).

    From exact integer counts of the 256 values, so no order of summation can matter.
    """
    import numpy as np

    channels = images.shape[1]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(images), CHUNK):
        for channel in range(channels):
            values = images[start : start + CHUNK, channel].ravel()
            counts[channel] += np.bincount(values, minlength=256)
    values = np.arange(256)
    n = counts.sum(1)
    mean = counts @ values / n
    variance = counts @ values**2 / n - mean**2
    return (mean / 255).tolist(), (np.sqrt(variance.clip(0)) / 255).tolist()
