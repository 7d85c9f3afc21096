"""Test accuracy of every class."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.number_format import percent
from labmill.report.results import StudyResults

CAPTION = "Test accuracy by class, in percent: means over seeds."
ALT = "Chart of test accuracy by class, a bar or row of numbers per variant."
BARS = 4


def caption(results: StudyResults) -> str:
    """Return the class with the lowest accuracy, and what is drawn."""
    means = {
        name: float(np.mean(values))
        for name in results.classes
        if (
            values := [
                mean.estimate
                for variant in results.variants
                if (mean := results.mean(variant, f"class_accuracy.{name}"))
            ]
        )
    }
    if len(means) < 3:
        return CAPTION
    last = min(means, key=means.__getitem__)
    of = (
        f" (mean of {len(results.variants)} variants)"
        if len(results.variants) > 1
        else ""
    )
    return (
        f"Least often recognised: class {last}, {percent(means[last])}{of}. {CAPTION}"
    )


def draw(results: StudyResults) -> Figure | None:
    """Draw bars for a few variants, else a grid of numbers; nothing where all are equal."""
    found = {
        label: [
            mean.estimate if mean else np.nan
            for name in results.classes
            for mean in [results.mean(variant, f"class_accuracy.{name}")]
        ]
        for variant, label in results.variants.items()
    }
    shares = {label: row for label, row in found.items() if not np.isnan(row).all()}
    # A chart of a constant shows nothing.
    if len({percent(share) for row in shares.values() for share in row}) < 2:
        return None
    if len(shares) > BARS:
        drawn, axes = style.rows_of(list(shares), height=0.22)
        words = [
            ["" if np.isnan(s) else f"{100 * s:.0f}" for s in row]
            for row in shares.values()
        ]
        style.heat(axes, np.array(list(shares.values())), words)
        style.names_below(axes, results.classes)
        return drawn
    drawn = style.figure(2.6)
    axes = drawn.subplots()
    style.bars(axes, shares, results.classes, percent, 100)
    axes.set_ylabel("Test accuracy (%)")
    style.names_below(axes, results.classes)
    style.guessing(axes, results.guessing)
    style.legend(drawn, list(shares), style.bar_looks(len(shares)), columns=3)
    return drawn
