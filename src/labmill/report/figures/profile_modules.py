"""Time of a training step by module, as an icicle: each row is one level deeper."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from labmill.report import style
from labmill.report.profiles import profiled
from labmill.report.results import Results

CAPTION = (
    "Forward and backward time by module. Each row is one level deeper in the network; "
    "a module is as wide as its share of the time, from the input on the left."
)
ALT = "Icicle charts, one per variant: nested boxes as wide as each module's time."
# Of the figure's width, in characters of the small type.
CHARACTERS = 150


def draw(results: Results) -> Figure | None:
    """A panel per variant."""
    found = profiled(results)
    if not found:
        return None
    depths = {v: depth(p["modules"]) for v, p in found.items()}
    drawn = style.figure(sum(0.24 * d + 0.42 for d in depths.values()) + 0.3)
    panels = drawn.subplots(
        len(found), 1, squeeze=False, height_ratios=[d + 0.8 for d in depths.values()]
    )
    for axes, (variant, profile) in zip(panels.ravel(), found.items(), strict=True):
        rows = profile["modules"]
        inside: dict[str | None, list[dict[str, Any]]] = {}
        for row in rows:
            inside.setdefault(row["parent"], []).append(row)
        whole = total(rows[0])
        place(axes, rows[0], 0.0, 0, whole, inside, 0)
        axes.set_xlim(0, 100)
        axes.set_ylim(depths[variant], 0)
        axes.set_axis_off()
        axes.set_title(
            f"{style.shorten(results.label(variant), 50)}: {whole:.3g} ms", loc="left"
        )
    return drawn


def total(row: dict[str, Any]) -> float:
    """Forward and backward time with all that is inside."""
    return row["forward_ms"] + row["backward_ms"]


def depth(rows: list[dict[str, Any]]) -> int:
    """Levels of the tree."""
    return 1 + max(row["name"].count(".") + 1 if row["name"] else 0 for row in rows)


def place(
    axes: Axes,
    row: dict[str, Any],
    left: float,
    level: int,
    whole: float,
    inside: dict[str | None, list[dict[str, Any]]],
    number: int,
) -> None:
    """A module's box, and below it those of its children."""
    width = 100 * total(row) / whole
    shade = style.color(number) if level else style.MUTED
    box = Rectangle(
        (left, level + 0.04), width, 0.92, fc=shade, ec=style.PAPER, lw=0.6, alpha=0.82
    )
    axes.add_patch(box)
    name = row["name"].rpartition(".")[2] or row["kind"]
    if width / 100 * CHARACTERS > len(name) + 1:
        axes.text(
            left + width / 2,
            level + 0.5,
            name,
            ha="center",
            va="center",
            fontsize=6.5,
            color="#ffffff",
            clip_on=True,
        )
    for child_number, child in enumerate(inside.get(row["name"], ())):
        kept = number if level >= 2 else child_number
        place(axes, child, left, level + 1, whole, inside, kept)
        left += 100 * total(child) / whole
