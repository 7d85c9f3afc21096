"""Each layer's speed against its arithmetic intensity, under the measured roof."""

import re

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labmill.profiling.records import LayerCost, Profile
from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.profile.profiles import (
    GROUPS,
    group,
    phases_of,
    profiled,
    shade,
    total_ms,
)

CAPTION = (
    "Roofline: speed of each layer's forward pass against its arithmetic intensity. The "
    "line is what the machine reached in the same job: memory traffic on the slope, "
    "arithmetic on the flat. A mark's area is the layer's share of the step, its number "
    "that of the layer among its kind (conv1, conv2, …; h: the head). Above the line lie "
    "convolutions that the library does with fewer multiplications than are counted."
)
ALT = "Log-log scatter of layers below a roof line, one panel per variant."


def draw(results: StudyResults) -> Figure | None:
    """Draw a panel per variant."""
    found = profiled(results)
    if not found:
        return None
    drawn, panels = style.grid(len(found), columns=3, height=2.2)
    kinds: set[str] = set()
    for axes, (variant, profile) in zip(panels, found.items(), strict=True):
        kinds |= roofline(axes, profile)
        axes.set_title(style.label(results.label(variant), 28))
    drawn.supxlabel("Intensity (operations per byte)")
    drawn.supylabel("GFLOP/s")
    named = [kind for kind in GROUPS if kind in kinds]
    looks = [{"color": shade(kind), "marker": "o", "ls": "none"} for kind in named]
    style.legend(drawn, named, looks, columns=7)
    return drawn


def roofline(axes: Axes, profile: Profile) -> set[str]:
    """Draw one network; return the kinds of its layers."""
    best, whole = profile.peak, sum(phases_of(profile).values())
    rows = [(row, row.gflops) for row in profile.layers if row.macs and row.gflops]
    reach = [row.intensity for row, _ in rows]
    speeds = [speed for _, speed in rows]
    x = np.geomspace(min(reach) / 3, max(reach) * 3, 200)
    axes.plot(x, np.minimum(best.gflops, x * best.gbytes_per_s), color=style.MUTED)
    # Large ones first, so that small ones lie on them.
    for row, speed in sorted(rows, key=lambda one: -total_ms(one[0])):
        share, color = total_ms(row) / whole, shade(group(row.kind))
        at = (row.intensity, speed)
        look: style.Look = {
            "s": 30 + 500 * share,
            "color": color,
            "ec": style.PAPER,
            "lw": 0.4,
        }
        text = f"{row.name}: {speed:.3g} GFLOP/s, {100 * share:.1f} % of the step"
        style.note(axes.scatter(*at, **look), text)
        words: style.Look = {"ha": "center", "va": "center", "fontsize": 5.5}
        axes.text(*at, mark(row), color=style.ink_on(color), **words)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(min(speeds) / 4, 2 * max(best.gflops, *speeds))
    return {group(row.kind) for row, _ in rows}


def mark(layer: LayerCost) -> str:
    """Return a layer in one or two signs: its number, or its first letter."""
    block = layer.name.removeprefix("layers.").partition(".")[0]
    number = re.search(r"\d+$", block)
    return number[0] if number else block[:1]
