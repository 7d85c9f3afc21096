"""All points of a search as lines through their settings (parallel coordinates)."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from labmill.report import search_charts, style
from labmill.report.figures.search import shown
from labmill.report.results import Results
from labmill.report.searched import heights, points_of, varied
from labmill.report.text import ordered, setting

CAPTION = (
    "Every point of the search as a line through its settings to its validation "
    "accuracy, which its colour tells too. Lines that share a value are spread about it "
    "by their rank, the most accurate above."
)
ALT = "Parallel coordinates: one line per search point through all settings."


def draw(results: Results) -> dict[str, Figure]:
    """A figure per search with at least two settings."""
    return {name: lines(chosen) for name, chosen in wide(results).items()}


def wide(results: Results) -> dict[str, dict[str, Any]]:
    """Those searches, by name."""
    return {
        name: chosen
        for name, chosen in shown(results).items()
        if len(varied(points_of(chosen))) > 1
    }


def axes_of(points: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Setting → its values as text, in the order in which they stand on its axis."""
    return {
        key: ordered({setting(p["settings"][key]) for p in points})
        for key in varied(points)
    }


def lines(chosen: dict[str, Any]) -> Figure:
    """One search."""
    points = points_of(chosen)
    keys = axes_of(points)
    accuracy = np.array([p["validation_accuracy"] for p in points])
    share = (accuracy - accuracy.min()) / (np.ptp(accuracy) or 1)
    drawn = style.figure(2.7)
    axes = drawn.subplots()
    palette = mpl.colormaps[style.SEQUENTIAL]
    across = [heights(points, key) for key in keys]
    for i in np.argsort(share):
        axes.plot(
            [*(crossed[i] for crossed in across), share[i]],
            lw=1.3,
            color=palette(0.3 + 0.7 * share[i]),
            alpha=0.85,
        )
    for column, values in enumerate(keys.values()):
        for value in values:
            axes.annotate(
                style.shorten(value, 12),
                (column, place(values, value)),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                bbox={"fc": style.PAPER, "ec": "none", "pad": 0.8},
            )
    for height in (0, 1):
        value = 100 * (accuracy.min() + height * np.ptp(accuracy))
        axes.annotate(
            f"{value:.1f} %",
            (len(keys), height),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    names = [key.split(".", 1)[1].replace("_", " ") for key in keys]
    axes.set_xticks(
        range(len(keys) + 1), [*map(style.shorten, names), "validation accuracy"]
    )
    axes.set_xlim(-0.1, len(keys) + 0.35)
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=style.MUTED)
    return drawn


def place(values: list[str], value: str) -> float:
    """Height of a value on its axis, 0..1."""
    return values.index(value) / max(1, len(values) - 1)


def chart(results: Results) -> dict[str, object]:
    """Lines that say their settings when pointed at."""
    found = wide(results).items()
    return {name: search_charts.parallel(chosen) for name, chosen in found}
