"""Time of a training step by module, as an icicle: each row is one level deeper."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from labmill.profiling.records import ModuleTime
from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.profile.profiles import (
    GROUPS,
    group,
    profiled,
    shade,
    total_ms,
)

CAPTION = (
    "Forward and backward time by module, from the input on the left; a box is as wide "
    "as its share of the time. Above: the network's parts; below: what they are made of, "
    "coloured by kind."
)
ALT = "Icicle charts, one per variant: nested boxes as wide as each module's time."
# Of the figure's width, in characters of the small type.
CHARACTERS = 105
# A module with nearly all of the time is replaced by its parts.
WHOLE = 0.9
Inside = dict[str | None, list[ModuleTime]]


def draw(results: StudyResults) -> Figure | None:
    """Draw a panel per variant."""
    found = profiled(results)
    if not found:
        return None
    insides = {variant: children(p.modules) for variant, p in found.items()}
    tops = {v: outermost(insides[v][None], insides[v]) for v in found}
    depths = {v: max(depth(row, insides[v]) for row in tops[v]) for v in found}
    drawn = style.figure(sum(0.24 * d + 0.42 for d in depths.values()) + 0.5)
    ratios = [d + 0.8 for d in depths.values()]
    panels = drawn.subplots(len(found), 1, squeeze=False, height_ratios=ratios)
    for axes, variant in zip(panels.ravel(), found, strict=True):
        whole, left = sum(map(total_ms, tops[variant])), 0.0
        for row in tops[variant]:
            box(axes, row, left, 0, whole, insides[variant])
            left += 100 * total_ms(row) / whole
        axes.set_xlim(0, 100)
        axes.set_ylim(depths[variant], 0)
        axes.set_axis_off()
        name = style.label(results.label(variant), round(50 * style.narrow()))
        axes.set_title(f"{name}: {whole:.3g} ms", loc="left")
    kinds = {
        group(row.kind)
        for variant, p in found.items()
        for row in p.modules
        if row.name not in insides[variant]
    }
    named = [kind for kind in GROUPS if kind in kinds]
    looks = [{"color": shade(kind), "lw": 6} for kind in named]
    style.legend(drawn, named, looks, columns=7, handlelength=1.0)
    return drawn


def children(rows: list[ModuleTime]) -> Inside:
    """Return modules by the name of the module around them."""
    inside: Inside = {}
    for row in rows:
        inside.setdefault(row.parent, []).append(row)
    return inside


def outermost(rows: list[ModuleTime], inside: Inside) -> list[ModuleTime]:
    """Return the rows, those that hold nearly all of the time replaced by their parts."""
    whole = sum(map(total_ms, rows))
    found = []
    for row in rows:
        parts = inside.get(row.name, [])
        wide = parts and total_ms(row) > WHOLE * whole
        found += outermost(parts, inside) if wide else [row]
    return found


def depth(row: ModuleTime, inside: Inside) -> int:
    """Return the levels of a module: itself, and those of its deepest part."""
    parts = inside.get(row.name, [])
    return 1 + max((depth(part, inside) for part in parts), default=0)


def box(
    axes: Axes, row: ModuleTime, left: float, level: int, whole: float, inside: Inside
) -> None:
    """Draw a module's box, and below it those of its parts."""
    width = 100 * total_ms(row) / whole
    parts = inside.get(row.name, [])
    color = style.PALETTE[5] if parts else shade(group(row.kind))
    made = Rectangle(
        (left, level + 0.04), width, 0.92, fc=color, ec=style.PAPER, lw=0.6
    )
    style.note(
        axes.add_patch(made), f"{row.name}: {total_ms(row):.3g} ms ({width:.1f} %)"
    )
    name = row.name.rpartition(".")[2]
    if style.narrow() * width / 100 * CHARACTERS > len(name) + 1:
        words: style.Look = {
            "ha": "center",
            "va": "center",
            "fontsize": 6.5,
            "clip_on": True,
        }
        axes.text(
            left + width / 2, level + 0.5, name, color=style.ink_on(color), **words
        )
    for part in parts:
        box(axes, part, left, level + 1, whole, inside)
        left += 100 * total_ms(part) / whole
