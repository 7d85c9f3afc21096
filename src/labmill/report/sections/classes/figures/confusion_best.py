"""Where the best network errs, and what it does differently from the last one."""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.number_format import change
from labmill.report.results import StudyResults
from labmill.report.sections.classes.figures.confusion import (
    FEW,
    matrix,
    rows_as_shares,
)

CAPTION = (
    "Left: of the test images of a class (row), the percentage that the ranked variant "
    "with the highest mean accuracy takes for each class. Right: the same less that of the ranked "
    "variant with the lowest one, in points: blue where it is higher, orange where it is lower."
)
ALT = (
    "Two heat maps: rows are true classes, columns predicted ones; one of the best variant, "
    "one of its differences from the last one."
)


def draw(results: StudyResults) -> Figure | None:
    """Draw one matrix and its difference from another one; None for too many classes."""
    means = {
        variant: mean.estimate
        for variant in results.ranked
        if (mean := results.mean(variant, "test_accuracy"))
    }
    size = len(results.answers)
    if len(means) < 2 or size > FEW:
        return None
    best, last = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    matrices = [matrix(results, variant) for variant in (best, last)]
    shares = [rows_as_shares(one) for one in matrices if one is not None]
    if len(shares) < 2:
        return None
    difference = shares[0] - shares[1]
    largest = max(0.01, float(np.abs(difference).max()))
    names = [style.label(results.label(variant), 24) for variant in (best, last)]
    panels = {
        names[0]: (shares[0], worded(shares[0], percent)),
        f"{names[0]}\n− {names[1]}": (
            difference / largest,
            worded(difference, change),
        ),
    }
    columns = 1 if style.narrow() < 1 else 2
    drawn, axes = style.grid(2, columns=columns, height=3.0)
    for panel, (title, (shades, words)) in zip(axes, panels.items(), strict=True):
        style.heat(panel, shades, words)
        style.names_below(panel, results.answers, 11)
        panel.set_yticks(range(size), [style.label(n, 11) for n in results.answers])
        panel.set_aspect("equal")
        panel.set_xlabel("Predicted")
        panel.set_ylabel("True")
        panel.set_title(title, fontsize=8)
    return drawn


def percent(share: float, digits: int) -> str:
    """Return a share as a percentage without its sign."""
    return f"{100 * share:.{digits}f}"


def worded(values: np.ndarray, write: Callable[[float, int], str]) -> list[list[str]]:
    """Return the numbers of a matrix; those that round to 0 are left out."""
    return [[write(v, 0) if abs(v) >= 0.005 else "" for v in row] for row in values]
