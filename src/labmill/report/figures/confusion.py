"""Confusion matrices of all variants."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import Results

CAPTION = (
    "Confusion matrices on test images, all seeds together: of the images of a class "
    "(row), the percentage that was taken for each class (column)."
)
ALT = (
    "Heat maps, one per variant: rows are true classes, columns predicted ones, darker "
    "cells hold more of a class's images."
)


def draw(results: Results) -> list[Figure] | None:
    """Two panels a row, three of few classes with short names; two rows a figure.

    One row where they are tall: two would leave the rest of a page in front of them empty.
    """
    found = {v: m for v in results.variants if (m := matrix(results, v)) is not None}
    names, shown = list(found), []
    size = len(results.answers)
    narrow = size <= 10 and max(map(len, results.answers)) <= 3 and len(names) > 2
    columns, tallest = (3, 2.2) if narrow else (2, 3.2)
    height = min(tallest, 1.3 + 0.2 * size)
    most = columns * (2 if 2 * height < 5 else 1)
    for start in range(0, len(names), most):
        part = names[start : start + most]
        drawn, panels = style.grid(len(part), columns=columns, height=height)
        if len(part) == 1:
            drawn.set_size_inches(style.WIDTH / columns, height + 0.35)
        for axes, variant in zip(panels, part, strict=True):
            axes.tick_params(labelbottom=True, labelleft=True)
            heat(axes, found[variant], results.answers)
            axes.set_title(style.shorten(results.label(variant), 36))
        shown.append(drawn)
    return shown or None


def matrix(results: Results, variant: str) -> np.ndarray | None:
    """Counts, true × predicted, summed over a variant's seeds."""
    found = [
        np.array(metrics["parts"]["test"]["confusion"])
        for record in results.sound(variant)
        if (metrics := results.open(record, "metrics"))
    ]
    return np.sum(found, axis=0) if found else None


def heat(axes: object, counts: np.ndarray, classes: list[str]) -> None:
    """One matrix as percentages of its rows."""
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap=style.SEQUENTIAL, vmin=0, vmax=100)
    size = len(counts)
    # Type stays readable: many classes show only what is confused often.
    for i in range(size):
        for j in range(size):
            value = shares[i, j]
            if value >= (0.5 if size <= 10 else 10):
                axes.text(
                    j,
                    i,
                    f"{value:.0f}",
                    ha="center",
                    va="center",
                    fontsize=8 if size <= 10 else 6.5,
                    color="#ffffff" if value > 55 else "#0f1720",
                )
    names = [style.shorten(name, 11) for name in classes]
    turned = max(map(len, names)) > 2
    axes.set_xticks(
        range(size),
        names,
        rotation=45 if turned else 0,
        ha="right" if turned else "center",
        rotation_mode="anchor",
    )
    axes.set_yticks(range(size), names)
    axes.set_xlabel("Predicted")
    axes.set_ylabel("True")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
