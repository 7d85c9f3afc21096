"""How figures look: one palette, readable type, colours the page can exchange."""

from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath

# Distinguishable with any colour vision (after Okabe & Ito, 2008), each at least 3:1
# on white and on the dark page.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#b5569b", "#b87700", "#6b7580", "#2b9bd1")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
MARKERS = "osD^vPX"
# The page puts its own colours in their place, so that figures follow light and dark.
INK, MUTED, GRID, PAPER = "#1b1b1f", "#5b5b63", "#dcdce2", "#fefefe"
SEQUENTIAL = "Blues"
WIDTH = 6.3  # inches: the text's width on paper
RC = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "labmill",
    "axes.unicode_minus": True,
}


def color(index: int) -> str:
    """The colour of the i-th thing; it comes round after seven."""
    return PALETTE[index % len(PALETTE)]


def dash(index: int) -> Any:
    """The line style that tells apart what shares a colour."""
    return DASHES[index // len(PALETTE) % len(DASHES)]


def marker(index: int) -> str:
    """The i-th mark: with the colour, it tells the first 49 things apart."""
    return MARKERS[(index + index // len(PALETTE)) % len(MARKERS)]


def look(index: int, **more: Any) -> dict[str, Any]:
    """Colour and mark of the i-th thing, and what else is to be said of its marks."""
    return {"color": color(index), "marker": marker(index), **more}


def figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure, inches, laid out so that nothing overlaps."""
    mpl.rcParams.update(RC)
    return Figure(figsize=(width, height), layout="constrained")


def grid(
    panels: int, *, columns: int = 3, height: float = 1.6, **shared: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of small multiples with that many axes, row by row."""
    columns = min(columns, panels)
    rows = -(-panels // columns)
    drawn = figure(height * rows + 0.35, WIDTH if columns > 1 else WIDTH * 0.6)
    axes = drawn.subplots(rows, columns, squeeze=False, **shared).ravel().tolist()
    for spare in axes[panels:]:
        spare.remove()
    for i, one in enumerate(axes[:panels]):
        one.tick_params(labelbottom=i + columns >= panels, labelleft=i % columns == 0)
    return drawn, axes[:panels]


def legend(
    drawn: Figure, labels: Sequence[str], styles: Iterable[dict[str, Any]], **more: Any
) -> None:
    """One legend above all axes, never over the data nor beyond the figure's edge."""
    handles = [Line2D([], [], **style) for style in styles]
    columns = min(len(labels), more.pop("columns", 4))
    widths = [
        TextPath((0, 0), label, RC["legend.fontsize"]).get_extents().width
        for label in labels
    ]
    while columns > 1 and needed(widths, columns) > drawn.get_figwidth():
        columns -= 1
    # Its lines after the first must not be taken from the axes.
    more_lines = -(-len(labels) // columns) - 1
    line = 1.5 * RC["legend.fontsize"] / 72
    drawn.set_figheight(drawn.get_figheight() + more_lines * line)
    drawn.legend(handles, labels, loc="outside upper left", ncols=columns, **more)


def needed(widths: Sequence[float], columns: int) -> float:
    """Inches that a legend takes across; `widths` of its labels in points.

    Its columns are filled one after the other, each with a handle and a gap.
    """
    beside = RC["legend.fontsize"] * (2.8 + 2)
    parts = np.array_split(widths, columns)
    return sum(max(part) + beside for part in parts) / 72


def shorten(text: str, length: int = 26) -> str:
    """A label that fits an axis; dollar signs are not mathematics."""
    text = " ".join(str(text).split())
    text = text if len(text) <= length else text[: length - 1] + "…"
    return text.replace("$", r"\$")
