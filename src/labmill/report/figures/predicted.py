"""What the best network takes each class for."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.explorer import shown
from labmill.report.results import Results

CAPTION = (
    "Errors by true class: the share of its test images that the network took for "
    "another class, and for which; the narrowest parts are not named."
)
ALT = "Stacked horizontal bars: one per true class, its errors divided by predicted class."
LETTER = 5.2  # points that a letter of a name takes across
ROOM = 390  # points across all bars


def draw(results: Results) -> Figure | None:
    """A bar per class, its most frequent error first."""
    found = shown(results)
    if found is None:
        return None
    size = len(results.answers)
    counts = np.zeros((size, size))
    np.add.at(counts, (found.labels, found.predicted), 1)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    longest = shares.sum(axis=1).max()
    if not longest:
        return None
    drawn = style.figure(0.26 * size + 0.6)
    axes = drawn.subplots()
    look = {"height": 0.72, "color": style.color(1), "ec": style.PAPER, "lw": 0.8}
    for row in range(size):
        left = 0.0
        for column in np.argsort(-shares[row], kind="stable"):
            if not (share := shares[row, column]):
                break
            axes.barh(row, share, left=left, **look)
            name = style.shorten(results.answers[column], 12)
            if ROOM * share / longest >= LETTER * (len(name) + 1):
                at = left + share / 2
                axes.text(
                    *(at, row, name), ha="center", va="center", fontsize=8, color="#fff"
                )
            left += share
    axes.set_yticks(range(size), [style.shorten(name, 14) for name in results.answers])
    axes.set_ylim(size - 0.4, -0.6)
    axes.set_ylabel("True class")
    axes.set_xlabel(f"Test {results.things} of the class taken for another (%)")
    axes.grid(axis="y", visible=False)
    return drawn
