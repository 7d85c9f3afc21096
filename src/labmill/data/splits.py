"""Which image is for what: stratified, seeded, the same for every variant of a study.

Each class's images are put in an order of their own, drawn from (seed, "split", class);
the parts are cut from that order. So a part moves only when a setting before it does:
test, then validation from the head, unlabelled from the tail, training between them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labmill.data.arrays import save
from labmill.data.classes import resolve
from labmill.data.stratify import (
    cut,
    interleaved,
    limited,
    quotas,
    shuffled,
    too_small,
    unlabelled_quotas,
)
from labmill.errors import LabmillError
from labmill.runtime import read_json, write_json

DEFAULTS: dict[str, Any] = {
    "classes": None,
    "roll_number": None,
    "validation": 0.1,
    "test": 0.2,
    "unlabelled": None,
    "limit": None,
    "test_limit": None,
}


@dataclass(frozen=True)
class Parts:
    """Indices into the pool, int64. `train` is balanced in every prefix; the rest rise.

    labels: int64 (N,), the new labels 0..k-1, -1 for images of classes not kept.
    """

    train: np.ndarray
    validation: np.ndarray
    unlabelled: np.ndarray
    test: np.ndarray
    labels: np.ndarray


def split(
    settings: Any,
    seed: int,
    *,
    images: Path,
    labels: Path,
    card: Path,
    split: Path,
    test: Path,
    summary: Path,
) -> None:
    """Split one dataset for one study and write the three files of the split.

    settings: a mapping or an object with the fields of `DEFAULTS`; others are ignored.
    `split` gets train, validation, unlabelled and labels, in which the labels of test
    and unlabelled images are -1 like those of dropped classes; `test` gets the sealed
    indices and their labels; `summary` the classes kept, counts and exact duplicates.
    Raises LabmillError when the settings cannot be met.
    """
    chosen = plain(settings)
    facts = read_json(card)
    kept = resolve(facts["classes"], chosen["classes"], chosen["roll_number"])
    parts = make_splits(
        np.load(labels),
        facts["official"]["train"],
        {**chosen, "classes": kept, "roll_number": None},
        seed,
    )
    visible = parts.labels.copy()
    visible[parts.test] = visible[parts.unlabelled] = -1
    save(
        split,
        train=parts.train,
        validation=parts.validation,
        unlabelled=parts.unlabelled,
        labels=visible,
    )
    save(test, test=parts.test, labels=parts.labels[parts.test])
    indices = {
        "train": parts.train,
        "validation": parts.validation,
        "unlabelled": parts.unlabelled,
        "test": parts.test,
    }
    pool = np.load(images, mmap_mode="r")
    write_json(
        summary,
        {
            "dataset": facts["name"],
            "digest": facts["digest"],
            "seed": seed,
            "settings": chosen,
            "classes": [facts["classes"][index] for index in kept],
            "original_labels": kept,
            "official_test": facts["official"]["test"] > 0,
            "sizes": {part: len(index) for part, index in indices.items()},
            "counts": {
                part: np.bincount(parts.labels[index], minlength=len(kept)).tolist()
                for part, index in indices.items()
            },
            "duplicates": duplicates(pool, indices),
        },
    )


def plain(settings: Any) -> dict[str, Any]:
    """The settings that decide the split, defaults filled in, as plain JSON values."""
    if not isinstance(settings, Mapping):
        settings = {key: getattr(settings, key) for key in DEFAULTS}
    chosen = {key: settings.get(key, default) for key, default in DEFAULTS.items()}
    if chosen["classes"] is not None:
        chosen["classes"] = list(chosen["classes"])
    return chosen


def make_splits(
    labels: np.ndarray, official_train: int, settings: Mapping[str, Any], seed: int
) -> Parts:
    """Divide a pool into disjoint parts, each stratified over the classes kept.

    labels: int (N,), 0..k-1, the first `official_train` of the training part; where
    that is all N, a test part is cut off by `settings["test"]`. settings: see `split`,
    with `classes` as indices or None. A share is rounded so that the part's size is
    exact and each class is within one image of its share. `unlabelled` as a number is
    a total, `validation` and `test` as numbers are per class. `limit` shortens train,
    validation and unlabelled in proportion to at most that many images in all, keeping
    one per class of each; `test_limit` the test part. Raises LabmillError.
    """
    chosen = plain(settings)
    labels = np.asarray(labels)
    kept = chosen["classes"]
    if kept is None:
        kept = np.unique(labels).tolist()
    pool = [shuffled(labels[:official_train], c, seed, offset=0) for c in kept]
    if not all(len(part) for part in pool):
        raise LabmillError(f"data: no training images of some of the classes {kept}")
    if official_train < len(labels):
        test = [
            shuffled(labels[official_train:], c, seed, offset=official_train)
            for c in kept
        ]
    else:
        test, pool = cut(pool, quotas("test", chosen["test"], pool))
    if not all(len(part) for part in test):
        raise LabmillError(f"data: no test images of some of the classes {kept}")
    sizes = [len(part) for part in pool]
    validation_sizes = quotas("validation", chosen["validation"], pool)
    unlabelled_sizes = unlabelled_quotas(chosen["unlabelled"], pool)
    train_sizes = [
        n - v - u
        for n, v, u in zip(sizes, validation_sizes, unlabelled_sizes, strict=True)
    ]
    if min(train_sizes) < 1:
        raise LabmillError(
            f"data: validation {chosen['validation']} and unlabelled "
            f"{chosen['unlabelled']} leave no training images of some class; "
            f"the training pool has {min(sizes)} to {max(sizes)} per class"
        )
    validation, rest = cut(pool, validation_sizes)
    train, unlabelled = cut(rest, train_sizes)
    ordered = {
        "train": interleaved(train),
        "validation": interleaved(validation),
        "unlabelled": interleaved(unlabelled),
    }
    if chosen["limit"] is not None:
        ordered = limited(ordered, chosen["limit"], len(kept))
    sealed = interleaved(test)
    if chosen["test_limit"] is not None:
        if chosen["test_limit"] < len(kept):
            raise too_small("test_limit", chosen["test_limit"], len(kept))
        sealed = sealed[: chosen["test_limit"]]
    relabelled = np.full(len(labels), -1, np.int64)
    for new, old in enumerate(kept):
        relabelled[labels == old] = new
    return Parts(
        train=ordered["train"],
        validation=np.sort(ordered["validation"]),
        unlabelled=np.sort(ordered["unlabelled"]),
        test=np.sort(sealed),
        labels=relabelled,
    )


def duplicates(pool: np.ndarray, indices: Mapping[str, np.ndarray]) -> dict[str, int]:
    """How many images of one part stand bit for bit in another."""
    digests = {
        part: [hashlib.blake2b(pool[i].tobytes()).digest() for i in index]
        for part, index in indices.items()
    }
    seen = {part: set(found) for part, found in digests.items()}
    return {
        f"{part}_in_{other}": sum(digest in seen[other] for digest in digests[part])
        for part, others in (
            ("test", ("train", "validation", "unlabelled")),
            ("validation", ("train",)),
        )
        for other in others
    }
