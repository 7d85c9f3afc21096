"""The Pareto fronts of a search: accuracy against time, operations and parameters."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from labmill.report import search_charts, style
from labmill.report.figures.cost import logarithmic
from labmill.report.figures.search import shown
from labmill.report.results import Results
from labmill.report.search_charts import COSTS
from labmill.report.searched import points_of
from labmill.search.pareto import front, membership
from labmill.search.select import missed

CAPTION = (
    "Pareto fronts of the search: validation accuracy against a cost. The line "
    "joins the points that no other beats in both; the darker a mark, the more seeds "
    "put it on the front (with one seed: on it or not). The cross is the chosen point; "
    "seconds contain what else ran on the machine."
)
ALT = (
    "Three scatter plots of validation accuracy against operations, seconds and "
    "parameters, with the Pareto front as a line."
)


def draw(results: Results) -> dict[str, Figure]:
    """A figure per search."""
    return {name: fronts(chosen) for name, chosen in shown(results).items()}


def probability(points: list[dict[str, Any]], cost: str) -> np.ndarray:
    """How often each point is on the front over the seeds, (n,); see `membership`.

    Where a point lacks a seed or its costs by seed, its means stand for one repetition.
    """
    accuracies = [point["accuracies"] for point in points]
    costs = [point.get("costs", {}).get(cost) for point in points]
    even = len({len(row) for row in accuracies}) == 1
    if even and all(costs) and all(None not in row for row in accuracies):
        return membership(np.array(costs, float), np.array(accuracies, float))
    means = [point["validation_accuracy"] for point in points]
    return front([point[cost] for point in points], means).astype(float)


def fronts(chosen: dict[str, Any]) -> Figure:
    """One search: a panel per cost."""
    points = points_of(chosen)
    y = np.array([p["validation_accuracy"] for p in points])
    drawn, panels = style.grid(len(COSTS), height=2.3, sharey=True)
    palette = mpl.colormaps[style.SEQUENTIAL]
    for axes, (cost, name) in zip(panels, COSTS.items(), strict=True):
        x = np.array([p[cost] for p in points], float)
        share = probability(points, cost)
        for i in np.argsort(share):
            color = palette(0.25 + 0.7 * share[i])
            look = {"ms": 4 + 2 * share[i], "color": color}
            hollow = {"mfc": "none"} if missed(points[i]) else {}
            axes.plot(x[i], 100 * y[i], "o", **look, **hollow)
        order = np.flatnonzero(front(x, y))
        order = order[np.argsort(x[order])]
        axes.plot(x[order], 100 * y[order], lw=1, color=style.MUTED, zorder=1)
        axes.plot(x[0], 100 * y[0], "x", ms=9, mew=1.6, color=style.INK)
        logarithmic(axes)
        axes.set_xlabel(name)
    panels[0].set_ylabel("Validation accuracy (%)")
    return drawn


def chart(results: Results) -> dict[str, object]:
    """One chart per search, whose cost a menu chooses."""
    found = shown(results).items()
    return {name: search_charts.fronts(chosen, probability) for name, chosen in found}
