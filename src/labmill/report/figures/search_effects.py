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
    "Main effects: the mean validation accuracy of all points that share a value. The 95 % "
    "interval is that of differences between points that agree in all other settings "
    "(Cousineau–Morey), so that these do not widen it."
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
        margins = margins_of(points, key)
        for i, (name, values) in enumerate(groups.items()):
            # In no order: points come ranked, and streaks would look like a trend.
            jitter = np.random.default_rng(i).uniform(-0.12, 0.12, len(values))
            seen = 100 * np.array(values)
            axes.plot(i + jitter, seen, ".", ms=2.5, color=style.MUTED, alpha=0.6)
            mean, margin = 100 * np.mean(values), 100 * margins.get(name, 0.0)
            axes.plot(
                [i, i], [mean - margin, mean + margin], lw=2, color=style.color(0)
            )
            axes.plot(i, mean, "o", ms=5, color=style.color(0))
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


def margins_of(points: list[dict[str, Any]], key: str) -> dict[str, float]:
    """Value of a setting → half its mean's interval within the grid, 0..1.

    Of each set of points that differ in this setting alone, the mean is taken out; what
    is left varies by the setting and by luck. The k values' variance is then k / (k - 1)
    times what is left shows (Cousineau, 2005; Morey, 2008). Empty for a single set.
    """
    blocks: dict[tuple[str, ...], dict[str, float]] = {}
    for point in points:
        rest = {k: setting(v) for k, v in point["settings"].items() if k != key}
        block = blocks.setdefault(tuple(sorted(rest.items())), {})
        block[setting(point["settings"][key])] = point["validation_accuracy"]
    k = len(groups_of(points, key))
    whole = [block for block in blocks.values() if len(block) == k]
    if len(whole) < 2 or k < 2:
        return {}
    found = {}
    for value in whole[0]:
        left = [block[value] - np.mean(list(block.values())) for block in whole]
        mean = mean_over_seeds(left)
        half = 0.0 if mean.high is None else mean.high - mean.estimate
        found[value] = half * (k / (k - 1)) ** 0.5
    return found


def means_of(chosen: dict[str, Any]) -> list[dict[str, Any]]:
    """The mean and interval of every value of every setting, for the chart."""
    points = points_of(chosen)
    found = []
    for i, key in enumerate(varied(points)):
        margins = margins_of(points, key)
        for value, accuracies in groups_of(points, key).items():
            mean, margin = float(np.mean(accuracies)), margins.get(value, 0.0)
            ends = {"low": mean - margin, "high": mean + margin}
            found.append({"field": f"p{i}", "group": value, "mean": mean, **ends})
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
