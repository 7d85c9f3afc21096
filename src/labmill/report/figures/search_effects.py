"""What each hyperparameter does on its own: means over all other settings."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from labmill.evaluation.statistics import mean_over_seeds
from labmill.report import style
from labmill.report.figures.search import points_of, shown
from labmill.report.results import Results
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
    keys = list(points[0]["settings"])
    drawn, panels = style.grid(len(keys), height=1.9, sharey=True)
    for axes, key in zip(panels, keys, strict=True):
        groups: dict[str, list[float]] = {}
        for point in points:
            value = setting(point["settings"][key])
            groups.setdefault(value, []).append(100 * point["validation_accuracy"])
        values = ordered(groups)
        for i, value in enumerate(values):
            mean = mean_over_seeds(groups[value])
            jitter = np.linspace(-0.12, 0.12, len(groups[value]))
            axes.plot(
                i + jitter, groups[value], ".", ms=2.5, color=style.MUTED, alpha=0.6
            )
            if mean.low is not None:
                axes.plot([i, i], [mean.low, mean.high], lw=2, color=style.color(0))
            axes.plot(i, mean.estimate, "o", ms=5, color=style.color(0))
        names = [style.shorten(value, 14) for value in values]
        turned = sum(map(len, names)) > 15
        axes.set_xticks(
            range(len(values)),
            names,
            rotation=30 if turned else 0,
            ha="right" if turned else "center",
        )
        axes.set_xlim(-0.5, len(values) - 0.5)
        axes.tick_params(labelbottom=True)
        axes.set_title(style.shorten(key.split(".", 1)[1].replace("_", " ")))
        axes.grid(axis="x", visible=False)
        axes.set_ylim(*span(points))
    drawn.supylabel("Validation accuracy (%)", fontsize=8.5)
    return drawn


def span(points: list[dict[str, Any]]) -> tuple[float, float]:
    """The range of the points themselves: an interval may leave it."""
    values = [100 * point["validation_accuracy"] for point in points]
    margin = 0.06 * (max(values) - min(values)) or 1.0
    return min(values) - margin, max(values) + margin
