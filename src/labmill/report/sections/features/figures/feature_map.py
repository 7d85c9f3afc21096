"""Where networks put the images: features in two dimensions, coloured by class."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.features.represented import Represented, represented

# More marks hide each other, and each is a piece of the page's drawing.
MARKS = 300
EDGE = 2  # percent of an axis's marks at each of its ends that are drawn at the edge
CAPTION = (
    f"Features of at most {MARKS} validation images in the plane of their first two "
    "principal components, coloured by class (first seed). Above each: the share of the "
    "variance that the plane shows, and how many of an image's nearest neighbours in the "
    f"whole feature space are of its class. The outermost {EDGE} % of the images at each "
    "end of an axis are drawn at its edge."
)
ALT = (
    "Scatter plots, one per network: a mark per image in two principal components, its "
    "colour and shape the class."
)


def draw(results: StudyResults) -> Figure | None:
    """Draw a panel per network, three a row."""
    found = list(represented(results))
    if not found:
        return None
    drawn, panels = style.grid(len(found), columns=3, height=2.25)
    for axes, one in zip(panels, found, strict=True):
        scatter(axes, one, results.classes)
    looks = [class_look(i) for i in range(len(results.classes))]
    style.legend(drawn, results.classes, looks, columns=5, length=16)
    return drawn


def class_look(i: int) -> style.Look:
    """Return colour and shape of a class."""
    shape = style.MARKERS[i // len(style.PALETTE)]
    return {"color": style.color(i), "marker": shape, "ms": 4, "ls": "none"}


def scatter(axes: Axes, one: Represented, classes: list[str]) -> None:
    """Draw one network's plane."""
    shown = np.random.default_rng(0).permutation(len(one.arrays["labels"]))[:MARKS]
    points, labels = one.arrays["points"], one.arrays["labels"][shown]
    # A few far images would press all others into a corner.
    low, high = np.percentile(points, [EDGE, 100 - EDGE], axis=0)
    points = np.clip(points[shown], low, high)
    for i in np.unique(labels):
        look = class_look(i) | {"ms": 2.4, "alpha": 0.6, "mew": 0}
        marks = axes.plot(*points[labels == i].T, **look)
        style.note(marks, classes[i], of=classes[i])
    explained, same = sum(one.record.explained), one.record.agreement or 0
    axes.set_title(
        f"{style.label(one.label, 26)}\nvariance {100 * explained:.0f} %\n"
        f"neighbours {100 * same:.0f} %",
        fontsize=style.SIZE,
    )
    axes.set_xticks([])
    axes.set_yticks([])
