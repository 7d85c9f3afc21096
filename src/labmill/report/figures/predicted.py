"""What the best network takes each class for."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.explorer import shown
from labmill.report.results import Results

CAPTION = (
    "Predictions by true class: how the test images of each class are divided among the "
    "predicted ones; errors of 3 % and more are named."
)
ALT = "Stacked horizontal bars: one per true class, divided by predicted class."


def draw(results: Results) -> Figure | None:
    """A bar per class: right in grey, then the errors, largest first."""
    found = shown(results)
    if found is None:
        return None
    size = len(results.answers)
    counts = np.zeros((size, size))
    np.add.at(counts, (found.labels, found.predicted), 1)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    drawn = style.figure(0.26 * size + 0.6)
    axes = drawn.subplots()
    for row in range(size):
        axes.barh(row, shares[row, row], color="#8fa3b3", height=0.72)
        left = shares[row, row]
        for column in np.argsort(-shares[row]):
            share = shares[row, column]
            if column == row or not share:
                continue
            axes.barh(
                row,
                share,
                left=left,
                color=style.color(int(column)),
                height=0.72,
                ec=style.PAPER,
                lw=0.5,
            )
            name = style.shorten(results.answers[column], 12)
            if share >= max(3, 1.3 * len(name)):
                axes.text(
                    left + share / 2,
                    row,
                    name,
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="#ffffff",
                )
            left += share
    axes.set_yticks(range(size), [style.shorten(name, 14) for name in results.answers])
    axes.set_ylim(size - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel("Test images of the class (%); grey: right")
    axes.grid(axis="y", visible=False)
    return drawn
