"""Test accuracy of every variant with its interval."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.number_format import percent
from labmill.report.results import StudyResults
from labmill.stats.significance import Mean

CAPTION = (
    "Test accuracy: mean over seeds with its 95 % interval, every run as a small point."
)
ALT = "Dot chart: test accuracy per variant, single runs, mean, interval, published."
PUBLISHED: style.Look = {
    "marker": "D",
    "ls": "none",
    "ms": 5,
    "mfc": style.PAPER,
    "mec": style.INK,
    "mew": 1.2,
}


def caption(results: StudyResults) -> str:
    """Return what is drawn."""
    there = published_accuracies(results)
    return f"{CAPTION} Hollow diamonds: published." if there else CAPTION


def draw(results: StudyResults) -> Figure | None:
    """Draw a row per variant."""
    found = {v: m for v in results.variants if (m := results.mean(v, "test_accuracy"))}
    if len(found) < 2:
        return None
    means = dict(sorted(found.items(), key=lambda one: -one[1].estimate))
    published = published_accuracies(results)
    # On the first page it leaves room for the questions: 3.2 inches of rows on paper.
    height = 0.27 if style.narrow() < 1 else max(0.12, min(0.27, 3.2 / len(means)))
    names = [results.label(variant) for variant in means]
    drawn, axes = style.rows_of(names, height=height)
    for row, (variant, mean) in enumerate(means.items()):
        label = results.label(variant)
        values = 100 * np.array(results.values(variant, "test_accuracy"))
        color = style.color(list(results.variants).index(variant))
        marks = axes.plot(
            values, np.full(len(values), row + 0.24), ".", ms=3.5, color=color
        )
        style.note(marks, f"{label}: single runs", of=label)
        mean_with_interval(axes, mean, row, color, label)
        if variant in published:
            theirs = published[variant]
            mark = axes.plot(100 * theirs, row, **PUBLISHED)
            style.note(mark, f"{label}: published {percent(theirs)}", of=label)
    axes.set_xlabel("Test accuracy (%)")
    style.guessing(axes, results.guessing, across=True)
    return drawn


def mean_with_interval(
    axes: Axes, mean: Mean, row: float, color: str, label: str
) -> None:
    """Draw an accuracy and its interval in a row."""
    marks = axes.plot(100 * mean.estimate, row, "o", ms=6, color=color)
    text = f"{label}: {percent(mean.estimate)}"
    if mean.low is not None and mean.high is not None:
        marks += axes.plot(
            [100 * mean.low, 100 * mean.high], [row, row], color=color, lw=2.2
        )
        text += f" (95 % interval {percent(mean.low)} to {percent(mean.high)})"
    style.note(marks, text, of=label)


def published_accuracies(results: StudyResults) -> dict[str, float]:
    """Return variant → published test accuracy."""
    theirs = (results.study["published"] or {"variants": {}})["variants"]
    return {
        variant: metrics["test_accuracy"]
        for variant, metrics in theirs.items()
        if "test_accuracy" in metrics and variant in results.variants
    }
