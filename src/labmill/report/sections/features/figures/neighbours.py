"""Which images a network finds alike: the nearest neighbours of some of them."""

from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.features.represented import Represented, represented

CAPTION = (
    "Validation images (left) and those whose features are nearest by angle, the nearest "
    "first (first seed): of the same class in a solid frame, of another in a dashed one."
)
ALT = (
    "Rows of small images: a query image, then its nearest neighbours, framed by whether "
    "they are of the same class."
)
SAME: style.Look = {"color": style.PALETTE[2], "lw": 2.0, "ls": "-"}
OTHER: style.Look = {"color": style.PALETTE[1], "lw": 2.0, "ls": (0, (2, 1.2))}


def draw(results: StudyResults) -> dict[str, Figure]:
    """Draw a figure per network."""
    return {one.label: rows(results, one) for one in represented(results)}


def rows(results: StudyResults, one: Represented) -> Figure:
    """Draw a row per query image."""
    places, labels = one.arrays["neighbours"], one.arrays["neighbour_labels"]
    width = (0.62 * places.shape[1] + 1.3) / style.PAGE
    drawn = style.figure(0.62 * len(places) * max(style.narrow(), 0.7) + 0.4, width)
    grid = drawn.subplots(*places.shape, squeeze=False)
    for row, of, axes in zip(places, labels, grid, strict=True):
        for column, (place, label, panel) in enumerate(zip(row, of, axes, strict=True)):
            image = results.pool[place].transpose(1, 2, 0).squeeze()
            style.picture(panel, image, cmap="gray")
            frame = SAME if label == of[0] else OTHER
            panel.spines[:].set_visible(column > 0)
            panel.spines[:].set(**frame)
        axes[0].set_ylabel(
            style.label(results.classes[of[0]], 12),
            rotation=0,
            ha="right",
            va="center",
            fontsize=8,
        )
    style.legend(drawn, ["same class", "another class"], [SAME, OTHER])
    return drawn
