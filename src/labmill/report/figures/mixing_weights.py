"""What a CNN weighs its own convolutions by: class by class, block by block."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.claims.represent import between_classes
from labmill.report.represented import Represented, represented
from labmill.report.results import Results

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


def draw(results: Results) -> list[Figure] | None:
    """One figure per network that mixes."""
    found = [one for one in represented(results) if one.figures["mixing"]]
    return [panels(results, one) for one in found] or None


def panels(results: Results, one: Represented) -> Figure:
    """A panel per block."""
    means = np.array(one.figures["mixing"]["mean"])
    shares = between_classes(one.figures["mixing"])
    blocks, classes, branches = means.shape
    drawn = style.figure(0.21 * classes + 1.05)
    drawn.suptitle(style.shorten(one.label, 60), fontsize=9)
    grid = drawn.subplots(1, blocks, sharey=True, squeeze=False)[0]
    for block, (axes, mean) in enumerate(zip(grid, means, strict=True)):
        top = max(means[block].max(), 1e-9)
        axes.imshow(mean, cmap=style.SEQUENTIAL, vmin=0, vmax=top, aspect="auto")
        for i, j in np.ndindex(mean.shape):
            axes.text(
                j,
                i,
                number(mean[i, j]),
                ha="center",
                va="center",
                fontsize=8,
                color="#ffffff" if mean[i, j] > 0.6 * top else "#0f1720",
            )
        axes.set_title(f"Block {block + 1}")
        axes.set_xlabel(f"{100 * shares[block]:.0f} % between", fontsize=8)
        axes.set_xticks(range(branches), [f"a{'₁₂₃₄'[k]}" for k in range(branches)])
        axes.set_yticks(
            range(classes), [style.shorten(name, 12) for name in results.classes]
        )
        axes.grid(visible=False)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    return drawn


def number(value: float) -> str:
    """Two digits, however large."""
    return f"{value:.2f}" if value < 9.95 else f"{value:.0f}"
