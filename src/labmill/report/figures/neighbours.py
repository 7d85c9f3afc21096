"""Which images a network finds alike: the nearest neighbours of some of them."""

from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.represented import Represented, represented
from labmill.report.results import Results

CAPTION = (
    "Validation images (left) and those whose features are nearest by angle, the nearest "
    "first (first seed): of the same class in a solid frame, of another in a dashed one."
)
ALT = (
    "Rows of small images: a query image, then its nearest neighbours, framed by whether "
    "they are of the same class."
)
SAME = {"color": style.PALETTE[2], "lw": 2.0, "ls": "-"}
OTHER = {"color": style.PALETTE[1], "lw": 2.0, "ls": (0, (2, 1.2))}


def draw(results: Results) -> list[Figure] | None:
    """One figure per network."""
    return [rows(results, one) for one in represented(results)] or None


def rows(results: Results, one: Represented) -> Figure:
    """A row per query image."""
    places, labels = one.arrays["neighbours"], one.arrays["neighbour_labels"]
    drawn = style.figure(0.62 * len(places) + 0.4, 0.62 * places.shape[1] + 1.3)
    grid = drawn.subplots(*places.shape, squeeze=False)
    for row, of, axes in zip(places, labels, grid, strict=True):
        for column, (place, label, panel) in enumerate(zip(row, of, axes, strict=True)):
            image = results.pool[place].transpose(1, 2, 0).squeeze()
            panel.imshow(image, cmap="gray", interpolation="none")
            panel.set_xticks([])
            panel.set_yticks([])
            panel.grid(visible=False)
            frame = SAME if label == of[0] else OTHER
            for spine in panel.spines.values():
                spine.set_visible(column > 0)
                spine.set(color=frame["color"], lw=frame["lw"], ls=frame["ls"])
        axes[0].set_ylabel(
            style.shorten(results.classes[of[0]], 12),
            rotation=0,
            ha="right",
            va="center",
            fontsize=8,
        )
    names = [style.shorten(one.label, 34), "same class", "another class"]
    style.legend(drawn, names, [{"ls": "none"}, SAME, OTHER])
    return drawn
