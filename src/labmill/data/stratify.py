"""Sizes of a split's parts: fair shares of every class, and their limits.

Pure Python: a study is checked with it before anything runs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labmill.core.errors import LabmillError


@dataclass(frozen=True, kw_only=True)
class SplitSettings:
    """Settings of the section `data` that decide the split; None: not asked for."""

    validation: float | int
    test: float | int
    split_seed: int
    classes: Sequence[str | int] | None = None
    roll_number: str | None = None
    unlabelled: float | int | None = None
    limit: int | None = None
    test_limit: int | None = None


def part_sizes(
    settings: SplitSettings, official: Mapping[str, Sequence[int]], names: Sequence[str]
) -> dict[str, list[int]]:
    """Return images per class of each part, before limits.

    A share is rounded so that the part's size is exact and each class is within one
    image of its share. `unlabelled` as a number is a total, `validation` and `test` as
    numbers are per class. `official` has the images per class of the dataset's own
    parts; the settings of a part that is in it do not matter.
    """
    made = [part for part in ("test", "validation") if part not in official]
    for part, counts in official.items():
        least = 1 + len(made) if part == "train" else 1
        if (fewest := min(counts)) < least:
            name = names[list(counts).index(fewest)]
            more = ", ".join([*made, "train"][: least if least > 1 else 0])
            raise LabmillError(
                f"data: class {name} has {fewest} {part} images; expected at least "
                f"{least}{more and f', one for each of {more}'}"
            )
    pool = list(official["train"])
    test = official.get("test") or class_shares(
        "test", settings.test, pool, names, left=len(made)
    )
    if "test" not in official:
        pool = [n - taken for n, taken in zip(pool, test, strict=True)]
    validation = official.get("validation") or class_shares(
        "validation", settings.validation, pool, names
    )
    unlabelled = unlabelled_shares(settings.unlabelled, pool)
    held_out = [0] * len(pool) if "validation" in official else validation
    train = [n - v - u for n, v, u in zip(pool, held_out, unlabelled, strict=True)]
    if min(train) < 1:
        smallest = train.index(min(train))
        raise LabmillError(
            f"data.unlabelled: found {settings.unlabelled}, which with validation "
            f"{settings.validation} leaves no training images of class "
            f"{names[smallest]}, which has {pool[smallest]}"
        )
    return {
        "train": train,
        "validation": list(validation),
        "unlabelled": unlabelled,
        "test": list(test),
    }


def class_shares(
    part: str,
    amount: float | int,
    sizes: Sequence[int],
    names: Sequence[str],
    *,
    left: int = 1,
) -> list[int]:
    """Return how many images of each class a part takes: a share, or a number each.

    `left`: images of each class that other parts need.
    """
    if isinstance(amount, int):
        taken = [amount] * len(sizes)
    else:
        taken = apportion(round(amount * sum(sizes)), sizes)
    for name, n, size in zip(names, taken, sizes, strict=True):
        if not 1 <= n <= size - left:
            raise LabmillError(
                f"data.{part}: found {amount}, which takes {n} of the {size} images "
                f"of class {name}; allowed: at least 1, and {left} must be left"
            )
    return taken


def unlabelled_shares(amount: float | int | None, sizes: Sequence[int]) -> list[int]:
    """Return how many images of each class lose their label: a share, or a total."""
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
    """Divide `total` in proportion to `sizes`, each rounded down or up to fit.

    Largest remainder (Hamilton); the first of equals goes first.
    """
    shares = [total * size / sum(sizes) for size in sizes]
    taken = [math.floor(share) for share in shares]
    order = sorted(range(len(sizes)), key=lambda i: (taken[i] - shares[i], i))
    for i in order[: total - sum(taken)]:
        taken[i] += 1
    return taken


def limited_sizes(sizes: Mapping[str, int], limit: int, classes: int) -> dict[str, int]:
    """Return sizes of parts in their proportions, at most `limit` in all."""
    total = sum(sizes.values())
    if limit >= total:
        return dict(sizes)
    shorter = {
        name: min(size, max(classes, limit * size // total))
        for name, size in sizes.items()
    }
    shorter["train"] = limit - shorter["validation"] - shorter["unlabelled"]
    if shorter["train"] < classes:
        raise limit_too_small("limit", limit, limit - shorter["train"] + classes)
    return shorter


def limit_too_small(key: str, found: int, least: int) -> LabmillError:
    """Return the error of a limit that leaves a class without an image."""
    return LabmillError(
        f"data.{key}: found {found}; allowed: at least {least}, one image per class "
        "in each part"
    )
