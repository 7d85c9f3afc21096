"""Fetch, verify and decode a dataset once: uint8 arrays and a card.

A file of `labmill/data/datasets/` with a function `decode` is a dataset; it returns
`Decoded`. Its constants are literals, read from the source text:

========================= ===============================================================
`CLASSES`                 names; None if the arguments decide
`IMAGE_SIZE`, `CHANNELS`  of the images; None if the arguments decide
`ORIGIN`, `LICENCE`       its page, and the licence of its data
`AUGMENTATION`            what `augmentation: dataset` means; nothing if absent
`SOURCES`, `URLS`         files that `decode` reads: name -> `size` in bytes and
                          `sha256`; base addresses of the files, tried in order;
                          absent if nothing is downloaded
`ARCHIVE`                 name of the archive that holds the files, if one does; names
                          in `SOURCES` are paths in it
========================= ===============================================================
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from labmill.core import registry
from labmill.core.files import remove_partial
from labmill.core.trees import JsonObject, Settings
from labmill.data.records import Card, OfficialParts

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("labmill")

CHUNK = 4096  # images per step of a statistic: bounds the memory it takes


@dataclass(frozen=True)
class Decoded:
    """The whole pool of a dataset: training images, then validation, then test.

    Attributes:
        digests: SHA-256 by name of what was read and is not in `SOURCES`.
        left_out: files that are no part of the pool, by the reason.
    """

    images: "np.ndarray"  # uint8 (N, channels, size, size)
    labels: "np.ndarray"  # int64 (N,), 0..k-1
    train: int  # number of official training images, N without other official parts
    classes: tuple[str, ...]  # their names
    validation: int = 0  # number of official validation images
    digests: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def official(self) -> OfficialParts:
        """Return the sizes of the official parts."""
        test = len(self.images) - self.train - self.validation
        return OfficialParts(train=self.train, validation=self.validation, test=test)


def prepare(
    dataset: str,
    arguments: JsonObject,
    *,
    images: Path,
    labels: Path,
    card: Path,
    mirror: str | None = None,
    downloads: Path = Path("data/downloads"),
) -> None:
    """Fetch, verify and decode one dataset; write its arrays and its card.

    Raw files are kept in `<downloads>/<dataset>/`; `mirror` is searched before
    LABMILL_MIRROR.
    """
    from labmill.data.arrays import save_array
    from labmill.download.download import fetch

    module = registry.load("data/datasets", dataset)
    files = fetch(
        dataset,
        getattr(module, "SOURCES", {}),
        urls=getattr(module, "URLS", ()),
        archive=getattr(module, "ARCHIVE", None),
        folder=Path(downloads) / dataset,
        mirror=mirror,
    )
    remove_partial(images.parent)
    decoded = module.decode(files, **arguments)
    digests = {
        path.name: save_array(path, array)
        for path, array in ((images, decoded.images), (labels, decoded.labels))
    }
    facts = describe(dataset, dict(arguments), module, decoded, digests)
    facts.write(card)
    log.info(
        "%s: %d training and %d test images, %d classes, mean %s, deviation %s",
        dataset,
        facts.official.train,
        facts.official.test,
        len(decoded.classes),
        ", ".join(f"{value:.4f}" for value in facts.mean),
        ", ".join(f"{value:.4f}" for value in facts.std),
    )


def describe(
    dataset: str,
    arguments: Settings,
    module: ModuleType,
    decoded: Decoded,
    arrays: dict[str, str],
) -> Card:
    """Return the card of a decoded pool; `arrays`: SHA-256 of the array files."""
    import numpy as np

    mean, std = mean_and_std(decoded.images[: decoded.train])
    digest = hashlib.sha256(repr(decoded.images.shape).encode())
    digest.update(np.ascontiguousarray(decoded.images).data)
    digest.update(np.ascontiguousarray(decoded.labels).data)
    sources = getattr(module, "SOURCES", {})
    counts, start = {}, 0
    for part, size in decoded.official.model_dump().items():
        own = decoded.labels[start : start + size]
        counts[part] = tuple(np.bincount(own, minlength=len(decoded.classes)).tolist())
        start += size
    return Card(
        name=dataset,
        arguments=arguments,
        source=module.ORIGIN,
        licence=getattr(module, "LICENCE", None),
        digest=digest.hexdigest(),
        arrays=arrays,
        digests={name: entry["sha256"] for name, entry in sources.items()}
        | dict(decoded.digests),
        classes=decoded.classes,
        image_size=decoded.images.shape[-1],
        channels=decoded.images.shape[1],
        official=decoded.official,
        class_counts=counts,
        mean=tuple(mean),
        std=tuple(std),
        vocabulary=getattr(module, "VOCABULARY", None),
        left_out=dict(decoded.left_out),
    )


def mean_and_std(images: "np.ndarray") -> tuple[list[float], list[float]]:
    """Return mean and population deviation per channel, in 0..1, of uint8 (N, C, H, W).

    From exact integer counts of the 256 values, so no order of summation can matter.
    """
    import numpy as np

    channels = images.shape[1]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(images), CHUNK):
        for channel in range(channels):
            pixels = images[start : start + CHUNK, channel].ravel()
            counts[channel] += np.bincount(pixels, minlength=256)
    values = np.arange(256)
    n = counts.sum(1)
    mean = counts @ values / n
    variance = counts @ values**2 / n - mean**2
    return (mean / 255).tolist(), (np.sqrt(variance.clip(0)) / 255).tolist()
