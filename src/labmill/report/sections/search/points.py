"""The points of a study's searches, as the report's figures and tables read them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from labmill.report import style
from labmill.report.number_format import duration, percent, short
from labmill.report.results import StudyResults
from labmill.report.sections.cost.figures.cost import logarithmic
from labmill.report.text import ordered, setting, spaced
from labmill.search.pareto import front
from labmill.search.records import RankedPoint, SearchResult

# A search of so few points is told whole by one table, which needs no figure.
FEW = 5
COSTS = {
    "operations": "Training operations",
    "seconds": "Seconds of training",
    "parameters": "Parameters",
}
RANKED = {"validation_accuracy": -1, "seconds": 1, "operations": 1}


def shown(results: StudyResults) -> dict[str, list[RankedPoint]]:
    """Return the points of each search that is worth a figure."""
    found = {
        f"search {name}": points_of(chosen) for name, chosen in results.searches.items()
    }
    return {name: points for name, points in found.items() if len(points) > FEW}


def points_of(chosen: SearchResult) -> list[RankedPoint]:
    """Return the points that ended with an accuracy, the chosen one first."""
    return [p for p in chosen.ranking if p.validation_accuracy is not None]


def accuracies(points: Sequence[RankedPoint]) -> np.ndarray:
    """Return the points' validation accuracies, (n,)."""
    return np.array([point.validation_accuracy for point in points], float)


def costs(points: Sequence[RankedPoint], cost: str) -> np.ndarray:
    """Return one cost of the points, (n,)."""
    return np.array([getattr(point, cost) for point in points], float)


def values_of(points: Sequence[RankedPoint], key: str) -> list[str]:
    """Return a setting's value of each point, as text."""
    return [setting(point.settings[key]) for point in points]


def varied(points: Sequence[RankedPoint]) -> dict[str, list[str]]:
    """Return the settings with more than one value among the points → these, in order."""
    found = {key: ordered({*values_of(points, key)}) for key in points[0].settings}
    return {key: values for key, values in found.items() if len(values) > 1}


def words(key: str) -> str:
    """Return a setting's name in words."""
    return spaced(key.split(".", 1)[-1])


def ranks(points: Sequence[RankedPoint]) -> dict[str, list[int]]:
    """Return `validation_accuracy` and each cost → every point's rank by it, from 1.

    Points that tie have the same rank.
    """
    found = {}
    for by, sign in RANKED.items():
        values = sign * costs(points, by)
        found[by] = (1 + np.searchsorted(np.sort(values), values)).tolist()
    return found


def told(point: RankedPoint) -> str:
    """Return accuracy, settings and costs of a point for its tooltip."""
    settings = [
        f"{words(key)} {setting(value)}" for key, value in point.settings.items()
    ]
    spent = [duration(point.seconds), f"{short(point.operations)} operations"]
    return ", ".join([percent(point.validation_accuracy, 2), *settings, *spent])


def mark(axes: Axes, point: RankedPoint, cost: str, **look: Any) -> None:
    """Draw a point, hollow where it did not reach its target."""
    hollow: style.Look = {"mfc": "none"} if point.reached is False else {}
    at = getattr(point, cost), 100 * (point.validation_accuracy or 0)
    style.note(axes.plot(*at, **{"ls": "none", "ms": 4, **look, **hollow}), told(point))


def front_and_choice(axes: Axes, points: Sequence[RankedPoint], cost: str) -> None:
    """Draw the Pareto front as a line and the chosen point as a cross."""
    x, y = costs(points, cost), 100 * accuracies(points)
    order = np.flatnonzero(front(x, y))
    order = order[np.argsort(x[order])]
    axes.plot(x[order], y[order], lw=1, color=style.MUTED, zorder=1)
    axes.plot(x[0], y[0], "x", ms=9, mew=1.6, color=style.INK)
    logarithmic(axes)
