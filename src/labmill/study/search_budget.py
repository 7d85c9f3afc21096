"""How far the budget of a search reaches: its rounds, and the points that it affords.

The unit of all functions is one full training of one seed. A round of `halving` trains
to a share of the epochs; for `random` and `tpe` it is a full training.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from labmill.study.schema import Budget, Search, Training

UNITS = tuple(Budget.model_fields)


def epochs_of(training: Training) -> int:
    """Return how many epochs a run has at most."""
    return training.until.max_epochs if training.until else training.epochs


def rungs(search: Search, training: Training) -> list[int]:
    """Return the epochs at which the rounds of one set of points end, the last in full.

    >>> halving = Search(variant="a", matrix={}, method="halving", factor=2)
    >>> rungs(halving, Training(epochs=20))
    [5, 10, 20]
    """
    found = [epochs_of(training)]
    if search.method == "halving":
        while found[0] % search.factor == 0 and found[0]:
            found.insert(0, found[0] // search.factor)
    return found


def cost(points: int, ends: list[int], factor: int) -> float:
    """Return the full trainings that so many points cost, from first to last round.

    >>> cost(4, [5, 10, 20], 2), cost(3, [20], 2)
    (2.0, 3.0)
    """
    spent, before = 0, 0
    for end in ends:
        spent += points * (end - before)
        points, before = max(1, points // factor), end
    return spent / ends[-1]


def affordable(budget: float, ends: list[int], factor: int, most: int) -> int:
    """Return the most points that cost at most so many full trainings.

    >>> affordable(4, [5, 10, 20], 2, 99), affordable(3.5, [20], 2, 99)
    (8, 3)
    """
    points = 0
    while points < most and cost(points + 1, ends, factor) <= budget + 1e-9:
        points += 1
    return points


def unit_of(budget: Budget) -> tuple[str, float]:
    """Return the unit of a budget, and its size."""
    return next((u, v) for u in UNITS if (v := getattr(budget, u)) is not None)


@dataclass(frozen=True)
class Round:
    """Points that train in parallel up to the same epoch."""

    end: int  # the epoch
    points: int
    continued: bool = False  # whether they are the best of the round before


def next_round(
    search: Search,
    ends: list[int],
    rounds: Sequence[Round],
    *,
    left: float | None,
    unseen: int,
) -> Round | None:
    """Return the round that follows; None where the search is over.

    Args:
        search: the search.
        ends: see `rungs`.
        rounds: those before.
        left: points that the rest of the budget would train in full; None where no cost
            is known yet.
        unseen: points of the grid that were not tried.
    """
    if rounds and rounds[-1].end < ends[-1]:
        end = ends[ends.index(rounds[-1].end) + 1]
        return Round(end, max(1, rounds[-1].points // search.factor), continued=True)
    if left is None:
        points = max(search.at_once, search.factor ** (len(ends) - 1))
    else:
        points = affordable(left, ends, search.factor, unseen)
    points = min(points, unseen)
    if search.method == "tpe":
        points = min(points, search.at_once)
    least = search.factor if search.method == "halving" else 1
    return Round(ends[0], points) if points >= least else None


def spent_runs(rounds: Sequence[Round], ends: list[int]) -> float:
    """Return the points that these rounds would have trained in full."""
    before = {end: start for start, end in zip([0, *ends], ends, strict=False)}
    return sum(r.points * (r.end - before[r.end]) for r in rounds) / ends[-1]
