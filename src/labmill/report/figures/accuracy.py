"""Test accuracy of every variant with its interval."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import Results

CAPTION = "Test accuracy: every run (small points), the mean over seeds and its 95 % interval."
ALT = "Dot chart: test accuracy per variant, single runs, mean and interval."


def draw(results: Results) -> Figure | None:
    """A row per variant."""
    means = {v: m for v in results.variants if (m := results.mean(v, "test_accuracy"))}
    if len(means) < 2:
        return None
    drawn = style.figure(0.5 + 0.27 * len(means))
    axes = drawn.subplots()
    for row, (variant, mean) in enumerate(means.items()):
        values = np.array(results.values(variant, "test_accuracy"))
        color = style.color(list(results.variants).index(variant))
        if mean.low is not None:
            axes.plot(
                [100 * mean.low, 100 * mean.high],
                [row, row],
                color=color,
                lw=2.2,
            )
        axes.plot(
            100 * values, np.full(len(values), row + 0.24), ".", ms=3.5, color=color
        )
        axes.plot(100 * mean.estimate, row, "o", ms=6, color=color)
    names = [style.shorten(results.label(variant), 34) for variant in means]
    axes.set_yticks(range(len(means)), names)
    axes.set_ylim(len(means) - 0.4, -0.6)
    axes.set_xlabel("Test accuracy (%)")
    axes.grid(axis="y", visible=False)
    return drawn
