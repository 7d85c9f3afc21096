"""Test accuracy of every class."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labmill.report import charts, style
from labmill.report.results import Results

CAPTION = "Test accuracy by class, in percent: means over seeds."
ALT = "Chart of test accuracy by class, a bar or row of numbers per variant."
BARS = 4


def draw(results: Results) -> Figure | None:
    """Bars for a few variants, else a grid of numbers."""
    values = {
        variant: [
            100 * m.estimate
            if (m := results.mean(variant, f"class_accuracy.{c}"))
            else np.nan
            for c in results.classes
        ]
        for variant in results.variants
    }
    values = {v: row for v, row in values.items() if not np.isnan(row).all()}
    if not values:
        return None
    names = [style.shorten(name, 14) for name in results.classes]
    at = np.arange(len(names))
    labels = [style.shorten(results.label(variant), 30) for variant in values]
    many = len(values) > BARS
    drawn = style.figure(0.8 + 0.22 * len(values) if many else 2.6)
    axes = drawn.subplots()
    turned = sum(map(len, names)) > (40 if many else 75)
    axes.set_xticks(
        at, names, rotation=35 if turned else 0, ha="right" if turned else "center"
    )
    if many:
        grid(axes, np.array(list(values.values())), labels)
        return drawn
    width = 0.8 / len(values)
    for i, row in enumerate(values.values()):
        shift = (i - (len(values) - 1) / 2) * width
        axes.bar(at + shift, row, width * 0.92, color=style.color(i))
    axes.set_ylabel("Test accuracy (%)")
    axes.grid(axis="x", visible=False)
    looks = [{"color": style.color(i), "lw": 6} for i in range(len(values))]
    style.legend(drawn, labels, looks, columns=3)
    return drawn


def grid(axes: Axes, percents: np.ndarray, labels: list[str]) -> None:
    """Numbers on a shade: a row per variant, a column per class."""
    axes.imshow(percents, cmap=style.SEQUENTIAL, vmin=0, vmax=100, aspect="auto")
    for (y, x), value in np.ndenumerate(percents):
        if not np.isnan(value):
            ink = style.PAPER if value > 60 else style.INK
            axes.text(x, y, f"{value:.0f}", ha="center", va="center", color=ink, size=8)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(length=0)
    axes.grid(visible=False)


def chart(results: Results) -> object:
    """Bars that the legend filters."""
    return charts.by_class(results)
