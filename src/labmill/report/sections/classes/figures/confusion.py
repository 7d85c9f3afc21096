"""Confusion matrices of all variants."""

import numpy as np
from matplotlib.figure import Figure

from labmill.evaluation.records import Metrics
from labmill.report import style
from labmill.report.results import StudyResults

CAPTION = (
    "Confusion matrices on test images, all seeds together: of the images of a class "
    "(row), the percentage that was taken for each class (column)."
)
ALT = (
    "Heat maps, one per variant: rows are true classes, columns predicted ones, darker "
    "cells hold more of a class's images."
)
FEW = 10  # classes; of more, only what is confused often is named


def draw(results: StudyResults) -> list[Figure]:
    """Draw two panels a row, three of few classes with short names; two rows a figure.

    One row where they are tall: two would leave the rest of a page in front of them empty.
    """
    found = {v: m for v in results.variants if (m := matrix(results, v)) is not None}
    names, figures = list(found), []
    size = len(results.answers)
    slim = size <= FEW and max(map(len, results.answers)) <= 3 and len(names) > 2
    columns, tallest = (3, 2.2) if slim else (2, 3.2)
    height = min(tallest, 1.3 + 0.2 * size)
    most = columns * (2 if 2 * height < 5 else 1)
    if style.narrow() < 1:
        columns, height = 1, 3.0
    for start in range(0, len(names), most):
        part = names[start : start + most]
        drawn, panels = style.grid(len(part), columns=columns, height=height)
        for axes, variant in zip(panels, part, strict=True):
            shares = rows_as_shares(found[variant])
            least = 0.005 if size <= FEW else 0.1
            words = [
                [f"{100 * s:.0f}" if s >= least else "" for s in r] for r in shares
            ]
            style.heat(axes, shares, words)
            style.names_below(axes, results.answers, 11)
            axes.set_yticks(range(size), [style.label(n, 11) for n in results.answers])
            axes.set_aspect("equal")
            axes.set_xlabel("Predicted")
            axes.set_ylabel("True")
            axes.set_title(style.label(results.label(variant), 28, lines=2))
        figures.append(drawn)
    return figures


def matrix(results: StudyResults, variant: str) -> np.ndarray | None:
    """Return counts, true × predicted, summed over a variant's seeds."""
    found = [
        np.array(metrics.parts.test.confusion)
        for run in results.sound(variant)
        if (metrics := run.read(Metrics))
    ]
    return np.sum(found, axis=0) if found else None


def rows_as_shares(counts: np.ndarray) -> np.ndarray:
    """Return counts as shares of their row."""
    return counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
