"""Which image is for what: stratified, seeded, the same for every variant of a study.

Each class's images are put in an order of their own, drawn from (seed, "split", class);
the parts are cut from that order. So a part moves only when a setting before it does:
test, then validation from the head, unlabelled from the tail, training between them.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labmill.data.classes import resolve
from labmill.errors import LabmillError
from labmill.randomness import numpy_generator
from labmill.runtime import atomic_write, read_json, write_json

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


def shuffled(labels: np.ndarray, label: int, seed: int, *, offset: int) -> np.ndarray:
    """The images of one class in the order drawn for it; test images in another."""
    members = np.flatnonzero(labels == label) + offset
    return numpy_generator(seed, "split", label, int(offset > 0)).permutation(members)


def quotas(part: str, amount: float | int, pool: Sequence[np.ndarray]) -> list[int]:
    """How many images of each class a part takes: a share of the pool, or a number."""
    sizes = [len(members) for members in pool]
    if isinstance(amount, int):
        taken = [amount] * len(sizes)
    else:
        taken = apportion(round(amount * sum(sizes)), sizes)
    if any(not 1 <= n < size for n, size in zip(taken, sizes, strict=True)):
        raise LabmillError(
            f"data.{part}: {amount} takes {min(taken)} to {max(taken)} images of a "
            f"class; allowed: 1 to {min(sizes) - 1}, as the smallest class has "
            f"{min(sizes)}"
        )
    return taken


def unlabelled_quotas(
    amount: float | int | None, pool: Sequence[np.ndarray]
) -> list[int]:
    """How many images of each class lose their label: a share, or a number in total."""
    sizes = [len(members) for members in pool]
    if amount is None:
        return [0] * len(sizes)
    total = amount if isinstance(amount, int) else round(amount * sum(sizes))
    if total >= sum(sizes):
        raise LabmillError(
            f"data.unlabelled: found {amount}; the training pool has {sum(sizes)} "
            "images"
        )
    return apportion(total, sizes)


def apportion(total: int, sizes: Sequence[int]) -> list[int]:
    """`total` divided in proportion to `sizes`, each rounded down or up to fit.

    Largest remainder (Hamilton); the first of equals goes first.
    """
    shares = [total * size / sum(sizes) for size in sizes]
    taken = [math.floor(share) for share in shares]
    order = sorted(range(len(sizes)), key=lambda i: (taken[i] - shares[i], i))
    for i in order[: total - sum(taken)]:
        taken[i] += 1
    return taken


def cut(
    groups: Sequence[np.ndarray], counts: Sequence[int]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The first `counts` of each group, and what is left of each."""
    pairs = list(zip(groups, counts, strict=True))
    return [group[:n] for group, n in pairs], [group[n:] for group, n in pairs]


def interleaved(groups: Sequence[np.ndarray]) -> np.ndarray:
    """One of each class in turn: every prefix is balanced to ±1 while classes last."""
    rank = np.concatenate([np.arange(len(group)) for group in groups])
    order = np.argsort(rank, kind="stable")
    return np.concatenate(groups).astype(np.int64)[order]


def limited(
    parts: Mapping[str, np.ndarray], limit: int, classes: int
) -> dict[str, np.ndarray]:
    """Balanced prefixes of the parts, in their proportions, at most `limit` in all."""
    total = sum(len(part) for part in parts.values())
    if limit >= total:
        return dict(parts)
    sizes = {
        name: min(len(part), max(classes, limit * len(part) // total))
        for name, part in parts.items()
    }
    sizes["train"] = limit - sizes["validation"] - sizes["unlabelled"]
    if sizes["train"] < classes:
        raise too_small("limit", limit, limit - sizes["train"] + classes)
    return {name: part[: sizes[name]] for name, part in parts.items()}


def too_small(key: str, found: int, least: int) -> LabmillError:
    """A limit that leaves a class without an image."""
    return LabmillError(
        f"data.{key}: found {found}; allowed: at least {least}, one image per class "
        "in each part"
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


def save(path: Path, **arrays: np.ndarray) -> None:
    """Write an npz file, atomically; equal arrays give equal bytes."""
    with atomic_write(path, "wb") as file:
        np.savez(file, **arrays)
