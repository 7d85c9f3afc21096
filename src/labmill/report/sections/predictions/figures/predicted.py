"""What the best network takes each class for."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.classes.figures.confusion import rows_as_shares
from labmill.report.sections.predictions.explorer import shown

CAPTION = (
    "Errors by true class: the share of its test images that the network took for "
    "another class, and for which; the narrowest parts are not named."
)
ALT = "Stacked horizontal bars: one per true class, its errors divided by predicted class."
LETTER = 5.2  # points that a letter of a name takes across
ROOM = 390  # points across all bars


def draw(results: StudyResults) -> Figure | None:
    """Draw a bar per class, its most frequent error first."""
    found = shown(results)
    if found is None:
        return None
    size = len(results.answers)
    counts = np.zeros((size, size))
    np.add.at(counts, (found.labels, found.predicted), 1)
    shares = 100 * rows_as_shares(counts)
    np.fill_diagonal(shares, 0)
    longest = shares.sum(axis=1).max()
    if not longest:
        return None
    drawn, axes = style.rows_of(results.answers, length=14)
    look: style.Look = {
        "height": 0.72,
        "color": style.color(1),
        "ec": style.PAPER,
        "lw": 0.8,
    }
    room = ROOM * style.narrow() / longest
    for row, true in enumerate(results.answers):
        left = 0.0
        for column in np.argsort(-shares[row], kind="stable"):
            if not (share := shares[row, column]):
                break
            bar = axes.barh(row, share, left=left, **look)
            taken = results.answers[column]
            style.note(bar, f"{true} taken for {taken}: {share:.1f} %")
            name = style.label(taken, 12)
            if room * share >= LETTER * (len(name) + 1):
                ink = style.ink_on(style.color(1))
                at = (left + share / 2, row)
                axes.text(*at, name, ha="center", va="center", fontsize=8, color=ink)
            left += share
    axes.set_ylabel("True class")
    axes.set_xlabel(f"Test {results.things} of the class taken for another (%)")
    return drawn
