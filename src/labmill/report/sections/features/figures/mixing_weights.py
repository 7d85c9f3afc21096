"""What a CNN weighs its own convolutions by: class by class, block by block."""

import numpy as np
from matplotlib.figure import Figure

from labmill.analysis.records import Mixing
from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.features.claims import between_classes
from labmill.report.sections.features.represented import represented

CAPTION = (
    "Mean weights of each block's three convolutions over the validation images of a "
    "class (first seed). Where a column is the same for all classes, the network does "
    "not use the weights to tell them apart; where it is zero, a convolution is unused. "
    "Below each block: the share of the weights' variance that lies between classes."
)
ALT = (
    "Heat maps, one per block: rows are classes, columns the three convolutions, darker "
    "cells larger weights."
)


def draw(results: StudyResults) -> dict[str, Figure]:
    """Draw a figure per network that mixes."""
    return {
        one.label: panels(one.record.mixing, results.classes)
        for one in represented(results)
        if one.record.mixing
    }


def panels(mixing: Mixing, classes: list[str]) -> Figure:
    """Draw a panel per block."""
    means = np.array(mixing.mean, float)
    shares = between_classes(mixing)
    height = 0.21 * len(classes) + 0.7
    drawn, grid = style.grid(len(means), columns=len(means), height=height, sharey=True)
    for block, (axes, mean) in enumerate(zip(grid, means, strict=True)):
        words = [[f"{w:.2f}" if w < 9.95 else f"{w:.0f}" for w in row] for row in mean]
        style.heat(axes, mean / max(mean.max(), 1e-9), words)
        axes.set_title(f"Block {block + 1}")
        axes.set_xlabel(f"{100 * shares[block]:.0f} % between", fontsize=8)
        axes.set_xticks(
            range(mean.shape[1]), [f"a{k}" for k in "₁₂₃₄"[: mean.shape[1]]]
        )
        axes.set_yticks(
            range(len(classes)), [style.label(name, 12) for name in classes]
        )
    return drawn
