"""Time of a training step by module, as an icicle: each row is one level deeper."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from labmill.report import style
from labmill.report.profiles import GROUPS, group, profiled, shade
from labmill.report.results import Results

CAPTION = (
    "Forward and backward time by module, from the input on the left; a box is as wide "
    "as its share of the time. Above: the network's parts; below: what they are made of, "
    "coloured by kind."
)
ALT = "Icicle charts, one per variant: nested boxes as wide as each module's time."
# Of the figure's width, in characters of the small type.
CHARACTERS = 105
# A module with nearly all of the time says nothing: its parts stand in its place.
WHOLE = 0.9
Module = Mapping[str, Any]
Inside = Mapping[str | None, list[Module]]


def draw(results: Results) -> Figure | None:
    """A panel per variant."""
    found = profiled(results)
    if not found:
        return None
    insides = {variant: children(p["modules"]) for variant, p in found.items()}
    tops = {v: outermost(insides[v][None], insides[v]) for v in found}
    depths = {v: max(depth(row, insides[v]) for row in tops[v]) for v in found}
    drawn = style.figure(sum(0.24 * d + 0.42 for d in depths.values()) + 0.5)
    panels = drawn.subplots(
        len(found), 1, squeeze=False, height_ratios=[d + 0.8 for d in depths.values()]
    )
    kinds = {
        group(row["kind"])
        for variant, p in found.items()
        for row in p["modules"]
        if row["name"] not in insides[variant]
    }
    for axes, variant in zip(panels.ravel(), found, strict=True):
        whole, left = sum(map(total, tops[variant])), 0.0
        for row in tops[variant]:
            place(axes, row, left, 0, whole, insides[variant])
            left += 100 * total(row) / whole
        axes.set_xlim(0, 100)
        axes.set_ylim(depths[variant], 0)
        axes.set_axis_off()
        axes.set_title(
            f"{style.shorten(results.label(variant), 50)}: {whole:.3g} ms", loc="left"
        )
    named = [kind for kind in GROUPS if kind in kinds]
    looks = [{"color": shade(kind), "lw": 6} for kind in named]
    style.legend(drawn, named, looks, columns=7, handlelength=1.0)
    return drawn


def children(rows: list[Module]) -> Inside:
    """Modules by the name of the module around them."""
    inside: dict[str | None, list[Module]] = {}
    for row in rows:
        inside.setdefault(row["parent"], []).append(row)
    return inside


def outermost(rows: list[Module], inside: Inside) -> list[Module]:
    """The rows, those that hold nearly all of the time replaced by their parts."""
    whole = sum(map(total, rows))
    found = []
    for row in rows:
        parts = inside.get(row["name"], [])
        wide = parts and total(row) > WHOLE * whole
        found += outermost(parts, inside) if wide else [row]
    return found


def total(row: Module) -> float:
    """Forward and backward time with all that is inside."""
    return row["forward_ms"] + row["backward_ms"]


def depth(row: Module, inside: Inside) -> int:
    """Levels of a module: itself, and those of its deepest part."""
    parts = inside.get(row["name"], [])
    return 1 + max((depth(part, inside) for part in parts), default=0)


def place(
    axes: Axes,
    row: Module,
    left: float,
    level: int,
    whole: float,
    inside: Inside,
) -> None:
    """A module's box, and below it those of its parts."""
    width = 100 * total(row) / whole
    parts = inside.get(row["name"], [])
    color = style.MUTED if parts else shade(group(row["kind"]))
    box = Rectangle((left, level + 0.04), width, 0.92, fc=color, ec=style.PAPER, lw=0.6)
    axes.add_patch(box)
    name = row["name"].rpartition(".")[2]
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
    for part in parts:
        place(axes, part, left, level + 1, whole, inside)
        left += 100 * total(part) / whole
