"""Which rotations a network confuses, class by class."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.represented import Represented, represented
from labmill.report.results import Results

CAPTION = (
    "Rotations told apart on validation images, class by class (first seed): of the "
    "images turned by an angle (row), the percentage taken for each angle (column). "
    "Above each: the share that is right; guessing gets 25 %."
)
ALT = (
    "Heat maps, one per class: rows are the true rotation, columns the one that the "
    "network says; darker cells hold more images."
)
ANGLES = ("0°", "90°", "180°", "270°")


def draw(results: Results) -> list[Figure] | None:
    """One figure per network that tells rotations apart."""
    found = [one for one in represented(results) if one.figures["rotations"]]
    return [panels(results, one) for one in found] or None


def panels(results: Results, one: Represented) -> Figure:
    """A panel per class, five a row."""
    counts = np.array(one.figures["rotations"])
    drawn, grid = style.grid(
        len(counts), columns=5, height=1.55, sharex=True, sharey=True
    )
    for axes, name, matrix in zip(grid, results.classes, counts, strict=False):
        total = matrix.sum(axis=1, keepdims=True)
        shares = 100 * matrix / np.maximum(total, 1)
        axes.imshow(shares, cmap=style.SEQUENTIAL, vmin=0, vmax=100)
        for i, j in np.ndindex(shares.shape):
            axes.text(
                j,
                i,
                f"{shares[i, j]:.0f}",
                ha="center",
                va="center",
                fontsize=8,
                color="#ffffff" if shares[i, j] > 55 else "#0f1720",
            )
        right = 100 * np.trace(matrix) / max(1, matrix.sum())
        axes.set_title(f"{style.shorten(name, 11)} {right:.0f} %")
        axes.set_xticks(range(len(ANGLES)), ANGLES, rotation=90)
        axes.set_yticks(range(len(ANGLES)), ANGLES)
        axes.grid(visible=False)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    drawn.supxlabel("Taken for", fontsize=8.5)
    drawn.supylabel("Turned by", fontsize=8.5)
    return drawn
