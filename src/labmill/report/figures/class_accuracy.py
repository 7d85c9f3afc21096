"""Test accuracy of every class."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import charts, style
from labmill.report.results import Results

CAPTION = "Test accuracy by class: means over seeds."
ALT = "Chart of test accuracy by class, one mark or bar per variant."
BARS = 4


def draw(results: Results) -> Figure | None:
    """Bars for a few variants, else a mark per variant on each class's line."""
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
    styles = []
    if len(values) <= BARS:
        drawn = style.figure(2.6)
        axes = drawn.subplots()
        width = 0.8 / len(values)
        for i, row in enumerate(values.values()):
            axes.bar(
                at + (i - (len(values) - 1) / 2) * width,
                row,
                width * 0.92,
                color=style.color(i),
            )
            styles.append({"color": style.color(i), "lw": 6})
        turned = sum(map(len, names)) > 75
        axes.set_xticks(
            at, names, rotation=35 if turned else 0, ha="right" if turned else "center"
        )
        axes.set_ylabel("Test accuracy (%)")
        axes.grid(axis="x", visible=False)
    else:
        row_height = max(0.26, 0.04 * len(values))
        drawn = style.figure(row_height * len(names) + 0.9)
        axes = drawn.subplots()
        for i, row in enumerate(values.values()):
            look = style.look(i)
            offset = 0.5 * (i / max(1, len(values) - 1) - 0.5)
            axes.plot(row, at + offset, ls="none", ms=4.5, **look)
            styles.append({**look, "ls": "none", "ms": 5})
        axes.set_yticks(at, names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel("Test accuracy (%)")
    labels = [style.shorten(results.label(variant), 30) for variant in values]
    style.legend(drawn, labels, styles, columns=3)
    return drawn


def chart(results: Results) -> object:
    """Bars that the legend filters."""
    return charts.by_class(results)
