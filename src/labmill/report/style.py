"""How figures look: one palette, readable type, one drawing for paper and for the page.

matplotlib draws every figure as SVG, for HTML and PDF. `note` gives a mark its tooltip and
the variant that the page's selector filters by; the page exchanges colours for dark mode
(`css`); `phone` draws the same figure for a narrow screen.
"""

import io
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from html import escape
from typing import Any
from urllib.parse import quote, unquote

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import BoundaryNorm, ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator

# Distinguishable with any colour vision (after Okabe & Ito, 2008), each at least 3:1
# on white and on the dark page.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#b5569b", "#b87700", "#6b7580", "#2b9bd1")
DASHED = (0, (3, 1.5))
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
MARKERS = "osD^vPX"
INK, MUTED, GRID, PAPER = "#1b1b1f", "#5b5b63", "#dcdce2", "#fefefe"
# Of heat maps, from nothing to all: on light and on dark pages. Words on the first eight
# are black (white on dark pages), those on the others white (black).
HEAT = (
    *("#f7fbff", "#e3eef9", "#d0e1f2", "#b7d4ea", "#94c4df", "#6aaed6", "#4a98c9"),
    *("#2e7ebc", "#1764ab", "#084a91", "#08306b"),
)
DARK_HEAT = (
    *("#1a1e25", "#192837", "#18314a", "#173b5d", "#1a4770", "#215682", "#286595"),
    *("#2e73a8", "#62abe0", "#93cdf5", "#d0ebff"),
)
# The same for negative differences: as light as the blues, level by level.
LOSS = (
    *("#fef9f6", "#fbe9de", "#fad8c2", "#f8c6a6", "#f5ae7e", "#f08d4c", "#eb6a13"),
    *("#c65910", "#a1480d", "#7c370a", "#542507"),
)
DARK_LOSS = (
    *("#251c16", "#332319", "#412a1b", "#52311b", "#673a1b", "#80431a", "#9a4b16"),
    *("#af5519", "#e78f54", "#f0bb98", "#f9e4d5"),
)
DEEP = 8
ON_PALE, ON_DEEP = "#010101", "#fdfdfd"
# The page replaces these colours by its own: colour → variable, light, dark.
EXCHANGED = {
    INK: ("ink", None, None),
    MUTED: ("muted", None, None),
    GRID: ("grid", None, None),
    PAPER: ("paper", None, None),
    ON_PALE: ("on-pale", "#000", "#fff"),
    ON_DEEP: ("on-deep", "#fff", "#000"),
    **{
        light: (f"{kind}-{level}", light, dark)
        for kind, lights, darks in (
            ("heat", HEAT, DARK_HEAT),
            ("loss", LOSS, DARK_LOSS),
        )
        for level, (light, dark) in enumerate(zip(lights, darks, strict=True))
    },
}
LEVELS = BoundaryNorm(np.linspace(0, 1, len(HEAT) + 1), len(HEAT), clip=True)
PAGE, PHONE = 6.3, 3.6  # inches: the text's width on paper, and a phone's
WIDTH = ContextVar("WIDTH", default=PAGE)
SIZE = 8.5
RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": SIZE,
    "axes.titlesize": 9,
    "axes.labelsize": SIZE,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "figure.labelsize": SIZE,
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
Look = dict[str, Any]


# --- colours -----------------------------------------------------------------------------


def color(index: int) -> str:
    """Return the colour of the i-th thing; they repeat after seven."""
    return PALETTE[index % len(PALETTE)]


def dash(index: int) -> Any:
    """Return the line style that tells apart what shares a colour."""
    return DASHES[index // len(PALETTE) % len(DASHES)]


def marker(index: int) -> str:
    """Return the i-th mark: with the colour, it tells the first 49 things apart."""
    return MARKERS[(index + index // len(PALETTE)) % len(MARKERS)]


def look(index: int, **more: Any) -> Look:
    """Return colour and mark of the i-th thing, and more properties of its marks."""
    return {"color": color(index), "marker": marker(index), **more}


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2, 0..1."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in to_rgb(colour)
    ]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(first: str, second: str) -> float:
    """Return the contrast of WCAG 2, 1..21; small text needs 4.5."""
    dark, light = sorted(map(luminance, (first, second)))
    return (light + 0.05) / (dark + 0.05)


def ink_on(colour: str) -> str:
    """Return black or white, whichever is read better on a colour that does not change."""
    return max("#000000", "#ffffff", key=lambda ink: contrast(ink, colour))


def css() -> str:
    """Return the colours of figures that the page exchanges, light and dark."""
    light, dark = (
        "".join(
            f"--{name}: {pair[i]};" for name, *pair in EXCHANGED.values() if pair[i]
        )
        for i in (0, 1)
    )
    return f":root {{{light}}}\n@media (prefers-color-scheme: dark) {{ :root {{{dark}}} }}\n"


# --- figures and axes --------------------------------------------------------------------


@contextmanager
def phone() -> Iterator[None]:
    """Draw figures as wide as a phone's screen, panels below each other."""
    token = WIDTH.set(PHONE)
    try:
        yield
    finally:
        WIDTH.reset(token)


def narrow() -> float:
    """Return the width of the page as a share of the paper's."""
    return WIDTH.get() / PAGE


def figure(height: float, share: float = 1.0) -> Figure:
    """Return an empty figure, laid out so that nothing overlaps.

    Args:
        height: in inches.
        share: of the page's width.
    """
    mpl.rcParams.update(RC)
    width = min(WIDTH.get(), PAGE * share)
    return Figure(figsize=(width, height), layout="constrained")


def grid(
    panels: int, *, columns: int = 3, height: float = 1.6, **shared: Any
) -> tuple[Figure, list[Axes]]:
    """Return a figure of small multiples with that many axes, row by row.

    Panels that share an axis have its numbers at the edge only.
    """
    columns = min(panels, max(1, round(columns * narrow())))
    rows = -(-panels // columns)
    drawn = figure(height * rows + 0.35, 1 if columns > 1 or narrow() < 1 else 0.6)
    axes = drawn.subplots(rows, columns, squeeze=False, **shared).ravel().tolist()
    for spare in axes[panels:]:
        spare.remove()
    for i, one in enumerate(axes[:panels]):
        below = i + columns >= panels or "sharex" not in shared
        one.tick_params(
            labelbottom=below, labelleft=i % columns == 0 or "sharey" not in shared
        )
    return drawn, axes[:panels]


def label(text: object, length: int = 26, lines: int = 1) -> str:
    """Return a name that fits, on so many lines; dollar signs are not mathematics."""
    parts = textwrap.wrap(" ".join(str(text).split()), length) or [""]
    if len(parts) > lines:
        rest = " ".join(parts[lines - 1 :])
        parts = [*parts[: lines - 1], f"{rest[: length - 1]}…"]
    return "\n".join(parts).replace("$", r"\$")


def names_below(axes: Axes, names: Sequence[str], length: int = 12) -> None:
    """Name the positions 0, 1, … of the horizontal axis, turned where they are long."""
    shown = [label(name, length) for name in names]
    turned = sum(map(len, shown)) > 75 * narrow() * axes.get_position().width
    axes.set_xticks(
        range(len(shown)),
        shown,
        rotation=35 if turned else 0,
        ha="right" if turned else "center",
        rotation_mode="anchor",
    )
    axes.grid(axis="x", visible=False)


# A row of so many inches has room for two lines of its name.
TWO_LINES = 0.21


def rows_of(
    names: Sequence[str],
    *,
    length: int = 34,
    height: float = 0.27,
    wrapped: bool = False,
) -> tuple[Figure, Axes]:
    """Return a figure with a row for each name, the first at the top.

    Args:
        names: of the rows.
        length: of a name's line.
        height: of a row, in inches.
        wrapped: whether the names have their lines already.
    """
    length = round(length * (0.6 if narrow() < 1 else 1))
    dense = height < TWO_LINES
    if dense:
        shown = [label(name, round(1.4 * length)) for name in names]
    else:
        shown = [name if wrapped else label(name, length, lines=2) for name in names]
    lines = sum(0.1 for name in shown if "\n" in name)
    drawn = figure(0.65 + height * len(names) + lines)
    axes = drawn.subplots()
    size: Look = {"fontsize": 6.5} if dense else {}
    axes.set_yticks(range(len(shown)), shown, linespacing=0.95, **size)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    return drawn, axes


def epochs(axes: Axes) -> None:
    """Mark whole epochs."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))


def guessing(axes: Axes, chance: float | None, *, across: bool = False) -> None:
    """Mark the accuracy of guessing: a line where the axis reaches that far, else words.

    Args:
        axes: with everything else drawn, in percent.
        chance: 0..1; None where guessing has no fixed rate.
        across: whether the accuracy is on the horizontal axis.
    """
    if chance is None:
        return
    at, words = 100 * chance, f"guessing {100 * chance:.3g} %"
    low, high = axes.get_xlim() if across else axes.get_ylim()
    if at < low - 0.35 * (high - low):
        said_beside(axes, words, across)
        return
    dotted: Look = {"color": MUTED, "lw": 0.8, "ls": (0, (1, 2))}
    small: Look = {"textcoords": "offset points", "color": MUTED, "fontsize": 8}
    if across:
        axes.axvline(at, **dotted)
        # Above the panel: no mark is there.
        place = ("data", "axes fraction")
        axes.annotate(words, (at, 1), (-2, 2), xycoords=place, va="bottom", **small)
    else:
        axes.axhline(at, **dotted)
        place = ("axes fraction", "data")
        axes.annotate(words, (1, at), (-2, 2), xycoords=place, ha="right", **small)


def said_beside(axes: Axes, words: str, across: bool) -> None:
    """Add words to the label of an axis, or to the one that all panels share."""
    axis, drawn = (axes.xaxis if across else axes.yaxis), axes.get_figure()
    if label := axis.get_label_text():
        axis.set_label_text(f"{label}{'; ' if across else chr(10)}{words}")
    elif isinstance(drawn, Figure) and words not in (shared := drawn.get_supylabel()):
        drawn.supylabel(f"{shared}; {words}")


def bars(
    axes: Axes,
    groups: Mapping[str, Sequence[float]],
    names: Sequence[str],
    write: Callable[[float], str],
    factor: float = 1,
) -> None:
    """Draw grouped bars: one of each group at each name.

    Args:
        axes: where.
        groups: name of a group → its values.
        names: of the positions, for the tooltips.
        write: a value in words.
        factor: of the axis.
    """
    width = 0.8 / len(groups)
    for i, (group, values) in enumerate(groups.items()):
        at = np.arange(len(values)) + (i - (len(groups) - 1) / 2) * width
        made = axes.bar(at, factor * np.array(values), 0.92 * width, color=color(i))
        for bar, name, value in zip(made, names, values, strict=True):
            note(bar, f"{group}, {name}: {write(value)}", of=group)


def bar_looks(groups: int) -> list[Look]:
    """Return the marks of a legend for bars."""
    return [{"color": color(i), "lw": 6} for i in range(groups)]


def heat(
    axes: Axes, shares: np.ndarray, words: Sequence[Sequence[str]] | None = None
) -> None:
    """Draw a matrix of shares, -1..1, as shades with words that are read on each.

    Those below 0 have another colour.
    """
    rows, columns = shares.shape
    shown = np.ma.masked_invalid(shares)
    for shades, part in ((HEAT, shown < 0), (LOSS, shown >= 0)):
        if not np.ma.filled(part, True).all():
            axes.pcolormesh(
                np.arange(columns + 1) - 0.5,
                np.arange(rows + 1) - 0.5,
                np.ma.masked_where(part, np.abs(shown)),
                cmap=ListedColormap(shades),
                norm=LEVELS,
                edgecolors=PAPER,
                linewidth=0.5,
            )
    axes.set_ylim(rows - 0.5, -0.5)
    for (i, j), share in np.ndenumerate(shares):
        if words and words[i][j]:
            deep = LEVELS(abs(share)) >= DEEP
            axes.text(
                j,
                i,
                words[i][j],
                ha="center",
                va="center",
                fontsize=8,
                color=ON_DEEP if deep else ON_PALE,
                in_layout=False,  # lies within the axes; measuring it takes long
            )
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def picture(axes: Axes, pixels: np.ndarray, **look: Any) -> Any:
    """Show an image without axes around it."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return axes.imshow(pixels, interpolation="none", **look)


def legend(
    drawn: Figure, labels: Sequence[str], styles: Iterable[Look], **more: Any
) -> None:
    """Draw one legend above all axes, never over the data nor beyond the figure's edge.

    Args:
        drawn: the figure.
        labels: of its entries; those of variants are also the names by which the page
            filters.
        styles: of the entries' marks.
        more: `columns` at most, `length` of a label, and matplotlib's arguments.
    """
    length = more.pop("length", 34)
    handles = [Line2D([], [], **style) for style in styles]
    shown = [label(name, length) for name in labels]
    columns = min(len(labels), more.pop("columns", 4))
    widths = [*map(width_of, shown)]
    while columns > 1 and needed(widths, columns) > drawn.get_figwidth():
        columns -= 1
    # Its lines after the first must not be taken from the axes.
    more_lines = -(-len(labels) // columns) - 1
    line = 1.5 * RC["legend.fontsize"] / 72
    drawn.set_figheight(drawn.get_figheight() + more_lines * line)
    # Not findobj: it would make every tick.
    filtered = {named(one) for axes in drawn.axes for one in axes.get_children()}
    made = drawn.legend(handles, shown, loc="outside upper left", ncols=columns, **more)
    for name, handle, text in zip(
        labels, made.legend_handles, made.get_texts(), strict=True
    ):
        if name in filtered:
            note([one for one in (handle, text) if one], name, of=name)


@cache
def width_of(name: str) -> float:
    """Return the points that a label of a legend takes across."""
    extents = TextPath((0, 0), name, RC["legend.fontsize"]).get_extents()
    return float(extents.width)


def needed(widths: Sequence[float], columns: int) -> float:
    """Return the inches that a legend takes across; `widths` of its labels in points.

    Its columns are filled one after the other, each with a handle and a gap.
    """
    beside = RC["legend.fontsize"] * (2.8 + 2)
    parts = np.array_split(widths, columns)
    return sum(max(part) + beside for part in parts) / 72


# --- SVG ---------------------------------------------------------------------------------

NOTE = re.compile(r'<g id="note:([^|"]*)\|([^"]*)">')


def note(artists: Artist | Iterable[Artist] | None, text: str, *, of: str = "") -> None:
    """Give marks a tooltip, and the name of the variant that they belong to."""
    for artist in [artists] if isinstance(artists, Artist) else artists or ():
        artist.set_gid(f"note:{quote(of)}|{quote(text)}")


def named(artist: Artist) -> str:
    """Return the variant that a mark belongs to, or nothing."""
    found = artist.get_gid() or ""
    return unquote(found[5:].partition("|")[0]) if found.startswith("note:") else ""


def svg(drawn: Figure) -> str:
    """Return a figure as SVG, the same bytes every time."""
    file = io.StringIO()
    with mpl.rc_context(RC):
        # Not savefig, which draws everything twice: once for the layout alone.
        canvas = FigureCanvasSVG(drawn)
        canvas.print_svg(file, metadata={"Date": None, "Creator": None})

    def noted(found: re.Match[str]) -> str:
        of, text = (escape(unquote(part)) for part in found.groups())
        name = f' data-of="{of}"' if of else ""
        return f"<g{name}><title>{text}</title>"

    return NOTE.sub(noted, file.getvalue())
