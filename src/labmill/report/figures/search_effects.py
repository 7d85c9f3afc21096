"""What each hyperparameter does on its own: means over all other settings."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from labmill.evaluation.statistics import mean_over_seeds
from labmill.report import search_charts, style
from labmill.report.figures.search import shown
from labmill.report.results import Results
from labmill.report.searched import points_of, varied
from labmill.report.text import ordered, setting

CAPTION = (
    "Main effects: the mean validation accuracy of all points that share a value, with "
    "its 95 % interval over those points. The other settings vary freely in it."
)
ALT = "Dot charts, one panel per hyperparameter: mean accuracy per value with interval."


def draw(results: Results) -> dict[str, Figure]:
    """A figure per search."""
    return {name: effects(chosen) for name, chosen in shown(results).items()}


def effects(chosen: dict[str, Any]) -> Figure:
    """One search: a panel per hyperparameter, one vertical axis for all."""
    points = points_of(chosen)
    keys = varied(points)
    drawn, panels = style.grid(len(keys), height=1.9, sharey=True)
    for axes, key in zip(panels, keys, strict=True):
        groups = groups_of(points, key)
        for i, values in enumerate(groups.values()):
            mean = mean_over_seeds(values)
            jitter = np.linspace(-0.12, 0.12, len(values))
            seen = 100 * np.array(values)
            axes.plot(i + jitter, seen, ".", ms=2.5, color=style.MUTED, alpha=0.6)
            if mean.low is not None:
                ends = [100 * mean.low, 100 * mean.high]
                axes.plot([i, i], ends, lw=2, color=style.color(0))
            axes.plot(i, 100 * mean.estimate, "o", ms=5, color=style.color(0))
        names = [style.shorten(value, 14) for value in groups]
        turned = sum(map(len, names)) > 15
        axes.set_xticks(
            range(len(groups)),
            names,
            rotation=30 if turned else 0,
            ha="right" if turned else "center",
        )
        axes.set_xlim(-0.5, len(groups) - 0.5)
        axes.tick_params(labelbottom=True)
        axes.set_title(style.shorten(key.split(".", 1)[1].replace("_", " ")))
        axes.grid(axis="x", visible=False)
        axes.set_ylim(*span(points))
    drawn.supylabel("Validation accuracy (%)", fontsize=8.5)
    return drawn


def groups_of(points: list[dict[str, Any]], key: str) -> dict[str, list[float]]:
    """Value of a setting, in order → accuracies of the points that have it, 0..1."""
    groups: dict[str, list[float]] = {}
    for point in points:
        value = setting(point["settings"][key])
        groups.setdefault(value, []).append(point["validation_accuracy"])
    return {value: groups[value] for value in ordered(groups)}


def means_of(chosen: dict[str, Any]) -> list[dict[str, Any]]:
    """The mean and interval of every value of every setting, for the chart."""
    points = points_of(chosen)
    found = []
    for i, key in enumerate(varied(points)):
        for value, accuracies in groups_of(points, key).items():
            mean = mean_over_seeds(accuracies)
            ends = {"low": mean.low, "high": mean.high}
            found.append(
                {"field": f"p{i}", "group": value, "mean": mean.estimate, **ends}
            )
    return found


def chart(results: Results) -> dict[str, object]:
    """One chart per search, whose hyperparameter a menu chooses."""
    return {
        name: search_charts.effects(chosen, means_of(chosen))
        for name, chosen in shown(results).items()
    }


def span(points: list[dict[str, Any]]) -> tuple[float, float]:
    """The range of the points themselves: an interval may leave it."""
    values = [100 * point["validation_accuracy"] for point in points]
    margin = 0.06 * (max(values) - min(values)) or 1.0
    return min(values) - margin, max(values) + margin
