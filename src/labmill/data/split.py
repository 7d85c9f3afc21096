"""Split a dataset: stratified, seeded, the same for every variant of a study.

Each class's images are ordered at random, by (seed, "split", class);
the parts are cut from that order. So a part moves only when a setting before it does:
test, then validation from the front, unlabelled from the back, training between them.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from labmill.data.arrays import load_array, save
from labmill.data.classes import resolve_classes
from labmill.data.records import Card, OfficialParts, SplitSummary
from labmill.data.stratify import (
    SplitSettings,
    limit_too_small,
    limited_sizes,
    part_sizes,
)
from labmill.stats.randomness import numpy_generator

log = logging.getLogger("labmill")


@dataclass(frozen=True)
class Split:
    """Indices into the pool, int64. `train` is balanced in every prefix; the rest rise.

    labels: int64 (N,), the new labels 0..k-1, -1 for images of classes not kept.
    """

    train: np.ndarray
    validation: np.ndarray
    unlabelled: np.ndarray
    test: np.ndarray
    labels: np.ndarray


def split(
    settings: SplitSettings,
    *,
    images: Path,
    labels: Path,
    card: Path,
    split: Path,
    test: Path,
    summary: Path,
) -> None:
    """Split one dataset for one study and write the three files of the split.

    `split` gets train, validation, unlabelled and labels, in which the labels of test
    and unlabelled images are -1 like those of dropped classes; `test` the sealed
    indices and their labels.
    """
    facts = Card.read(card)
    kept = resolve_classes(facts.classes, settings.classes, settings.roll_number)
    folder = facts.arguments.get("path")
    parts = make_splits(
        load_array(labels, facts),
        facts.official,
        settings,
        kept=kept,
        names=[
            f"{name!r} of {folder}" if folder else repr(name) for name in facts.classes
        ],
    )
    if facts.official.validation:
        log.info(
            "validation: the dataset's own %d images; data.validation is not used",
            facts.official.validation,
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
    chosen = asdict(settings)
    seed = chosen.pop("split_seed")
    SplitSummary(
        dataset=facts.name,
        digest=facts.digest,
        seed=seed,
        settings=chosen,
        classes=tuple(facts.classes[index] for index in kept),
        original_labels=tuple(kept),
        official_test=facts.official.test > 0,
        sizes={part: len(index) for part, index in indices.items()},
        counts={
            part: tuple(np.bincount(parts.labels[index], minlength=len(kept)).tolist())
            for part, index in indices.items()
        },
        duplicates=duplicates(load_array(images, facts), indices),
    ).write(summary)


def make_splits(
    labels: np.ndarray,
    official: OfficialParts,
    settings: SplitSettings,
    *,
    kept: Sequence[int],
    names: Sequence[str],
) -> Split:
    """Divide a pool into disjoint parts, each stratified over the classes kept.

    Args:
        labels: int (N,), 0..k-1, in the order train, validation, test of the official
            parts; a part that the dataset lacks is cut off the training images.
        official: sizes of the official parts.
        settings: of the study. `limit` shortens train, validation and unlabelled in
            proportion to at most that many images in all, keeping one per class of
            each; `test_limit` the test part.
        kept: old labels of the classes kept, in the order of their new labels.
        names: of all classes, for messages.
    """
    labels = np.asarray(labels)
    starts = {
        "train": 0,
        "validation": official.train,
        "test": official.train + official.validation,
    }
    members = {
        part: [
            shuffle_class(labels[start : start + size], c, settings.split_seed) + start
            for c in kept
        ]
        for part, start in starts.items()
        if (size := getattr(official, part)) or part == "train"
    }
    sizes = part_sizes(
        settings,
        {part: [len(m) for m in groups] for part, groups in members.items()},
        [names[c] for c in kept],
    )
    rest = members["train"]
    for part in ("test", "validation"):
        if part not in members:
            members[part], rest = cut(rest, sizes[part])
    train, unlabelled = cut(rest, sizes["train"])
    ordered = {
        "train": interleave(train),
        "validation": interleave(members["validation"]),
        "unlabelled": interleave(unlabelled),
    }
    if settings.limit is not None:
        totals = {part: len(index) for part, index in ordered.items()}
        shorter = limited_sizes(totals, settings.limit, len(kept))
        ordered = {part: index[: shorter[part]] for part, index in ordered.items()}
    sealed = interleave(members["test"])
    if settings.test_limit is not None:
        if settings.test_limit < len(kept):
            raise limit_too_small("test_limit", settings.test_limit, len(kept))
        sealed = sealed[: settings.test_limit]
    relabelled = np.full(len(labels), -1, np.int64)
    for new, old in enumerate(kept):
        relabelled[labels == old] = new
    return Split(
        train=ordered["train"],
        validation=np.sort(ordered["validation"]),
        unlabelled=np.sort(ordered["unlabelled"]),
        test=np.sort(sealed),
        labels=relabelled,
    )


def shuffle_class(labels: np.ndarray, label: int, seed: int) -> np.ndarray:
    """Return the positions of one class in the order drawn for it."""
    members = np.flatnonzero(labels == label)
    return numpy_generator(seed, "split", label).permutation(members)


def cut(
    groups: Sequence[np.ndarray], counts: Sequence[int]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the first `counts` of each group, and the rest of each."""
    pairs = list(zip(groups, counts, strict=True))
    return [group[:n] for group, n in pairs], [group[n:] for group, n in pairs]


def interleave(groups: Sequence[np.ndarray]) -> np.ndarray:
    """Take one of each class in turn: every prefix is balanced while classes last."""
    rank = np.concatenate([np.arange(len(group)) for group in groups])
    order = np.argsort(rank, kind="stable")
    return np.concatenate(groups).astype(np.int64)[order]


def duplicates(pool: np.ndarray, indices: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Count the images of one part that are also, bit for bit, in another."""
    digests = {
        part: [hashlib.blake2b(pool[i].tobytes()).digest() for i in index]
        for part, index in indices.items()
    }
    found = {part: set(part_digests) for part, part_digests in digests.items()}
    return {
        f"{part}_in_{other}": sum(digest in found[other] for digest in digests[part])
        for part, others in (
            ("test", ("train", "validation", "unlabelled")),
            ("validation", ("train",)),
        )
        for other in others
    }
