"""Where networks put the images: features in two dimensions, coloured by class."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.represented import Represented, represented
from labmill.report.results import Results

# More marks hide each other, and each is a piece of the page's drawing.
MARKS = 300
EDGE = 2  # percent of an axis's marks at each of its ends that stand at the edge
CAPTION = (
    f"Features of at most {MARKS} validation images in the plane of their first two "
    "principal components, coloured by class (first seed). Above each: the share of the "
    "variance that the plane shows, and how many of an image's nearest neighbours in the "
    f"whole feature space are of its class. The outermost {EDGE} % of the images at each "
    "end of an axis stand at its edge."
)
ALT = (
    "Scatter plots, one per network: a mark per image in two principal components, its "
    "colour and shape the class."
)


def draw(results: Results) -> Figure | None:
    """A panel per network, three a row."""
    found = list(represented(results))
    if not found:
        return None
    drawn, panels = style.grid(len(found), columns=3, height=2.25)
    for axes, one in zip(panels, found, strict=True):
        scatter(axes, one)
    names = [style.shorten(name, 16) for name in results.classes]
    looks = [look(i) | {"ls": "none"} for i in range(len(names))]
    style.legend(drawn, names, looks, columns=5)
    return drawn


def look(i: int) -> dict[str, object]:
    """Colour and shape of a class."""
    colors = len(style.PALETTE)
    return {"color": style.color(i), "marker": style.MARKERS[i // colors], "ms": 4}


def scatter(axes: object, one: Represented) -> None:
    """One network's plane."""
    shown = np.random.default_rng(0).permutation(len(one.arrays["labels"]))[:MARKS]
    points, labels = one.arrays["points"], one.arrays["labels"][shown]
    # A few far images would press all others into a corner.
    low, high = np.percentile(points, [EDGE, 100 - EDGE], axis=0)
    points = np.clip(points[shown], low, high)
    for i in sorted(set(labels.tolist())):
        mine = points[labels == i]
        axes.plot(
            mine[:, 0], mine[:, 1], ls="none", alpha=0.6, mew=0, **look(i) | {"ms": 2.4}
        )
    explained = sum(one.figures["explained"])
    same = one.figures["agreement"]
    axes.set_title(
        f"{style.shorten(one.label, 27)}\nvariance {100 * explained:.0f} %, "
        f"neighbours {100 * same:.0f} %",
        fontsize=8.5,
    )
    axes.set_xticks([])
    axes.set_yticks([])
