"""The arithmetic of splits: fair shares, balanced orders, pieces of them."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from labmill.errors import LabmillError
from labmill.randomness import numpy_generator


def shuffled(labels: np.ndarray, label: int, seed: int, *, offset: int) -> np.ndarray:
    """The images of one class, as indices from `offset` on, in the order drawn for it."""
    members = np.flatnonzero(labels == label) + offset
    return numpy_generator(seed, "split", label).permutation(members)


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
