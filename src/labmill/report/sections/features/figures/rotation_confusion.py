"""Which rotations a network confuses, class by class."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.classes.figures.confusion import rows_as_shares
from labmill.report.sections.features.represented import represented

CAPTION = (
    "Rotations told apart on validation images, class by class (first seed): of the "
    "images turned by an angle (row), the percentage taken for each angle (column). "
    "Above each: the share that is right; guessing gets 25 %."
)
ALT = (
    "Heat maps, one per class: rows are the true rotation, columns the one that the "
    "network predicts; darker cells hold more images."
)
ANGLES = ("0°", "90°", "180°", "270°")


def draw(results: StudyResults) -> dict[str, Figure]:
    """Draw a figure per network that tells rotations apart."""
    return {
        one.label: panels(np.array(one.record.rotations), results.classes)
        for one in represented(results)
        if one.record.rotations
    }


def panels(counts: np.ndarray, classes: list[str]) -> Figure:
    """Draw a panel per class, five a row."""
    drawn, grid = style.grid(
        len(counts), columns=5, height=1.55, sharex=True, sharey=True
    )
    for axes, name, matrix in zip(grid, classes, counts, strict=True):
        shares = rows_as_shares(matrix)
        style.heat(axes, shares, [[f"{100 * s:.0f}" for s in row] for row in shares])
        right = 100 * np.trace(matrix) / max(1, matrix.sum())
        axes.set_title(f"{style.label(name, 11)} {right:.0f} %")
        axes.set_xticks(range(len(ANGLES)), ANGLES, rotation=90)
        axes.set_yticks(range(len(ANGLES)), ANGLES)
    drawn.supxlabel("Taken for")
    drawn.supylabel("Turned by")
    return drawn
