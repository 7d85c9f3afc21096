"""Each layer's speed against its arithmetic intensity, under the measured roof."""

import re

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.profiles import GROUPS, group, own_share, profiled, shade
from labmill.report.results import Results

CAPTION = (
    "Roofline: speed of each layer's forward pass against its arithmetic intensity. The "
    "line is what the machine reached in the same job: memory traffic on the slope, "
    "arithmetic on the flat. A mark's area is the layer's share of the step, its number "
    "that of the layer among its kind (conv1, conv2, …; h: the head). Above the line lie "
    "convolutions that the library does with fewer multiplications than are counted."
)
ALT = "Log-log scatter of layers below a roof line, one panel per variant."


def draw(results: Results) -> Figure | None:
    """A panel per variant."""
    found = profiled(results)
    if not found:
        return None
    drawn, panels = style.grid(len(found), columns=3, height=2.2)
    kinds: set[str] = set()
    for axes, (variant, profile) in zip(panels, found.items(), strict=True):
        best, whole = profile["peak"], sum(profile["phases"].values())
        rows = [row for row in profile["layers"] if row["macs"] and row["gflops"]]
        reach = [row["intensity"] for row in rows]
        x = np.geomspace(min(reach) / 3, max(reach) * 3, 200)
        roof = np.minimum(best["gflops"], x * best["gbytes_per_s"])
        axes.plot(x, roof, color=style.MUTED)
        # Large ones first, so that small ones lie on them.
        for row in sorted(rows, key=lambda row: -own_share(row, whole)):
            kind = group(row["kind"])
            kinds.add(kind)
            at = (row["intensity"], row["gflops"])
            size = 30 + 500 * own_share(row, whole)
            axes.scatter(*at, s=size, color=shade(kind), ec=style.PAPER, lw=0.4)
            axes.text(
                *at,
                mark(row["name"]),
                ha="center",
                va="center",
                fontsize=5.5,
                color="#ffffff",
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(
            min(row["gflops"] for row in rows) / 4,
            2 * max(best["gflops"], *(row["gflops"] for row in rows)),
        )
        axes.tick_params(labelleft=True, labelbottom=True)
        axes.set_title(style.shorten(results.label(variant), 28))
    drawn.supxlabel("Intensity (operations per byte)", fontsize=8.5)
    drawn.supylabel("GFLOP/s", fontsize=8.5)
    named = [kind for kind in GROUPS if kind in kinds]
    looks = [{"color": shade(kind), "marker": "o", "ls": "none"} for kind in named]
    style.legend(drawn, named, looks, columns=7)
    return drawn


def mark(name: str) -> str:
    """A layer in one or two signs: its number, or else the letter that it begins with."""
    block = name.removeprefix("layers.").partition(".")[0]
    number = re.search(r"\d+$", block)
    return number[0] if number else block[:1]
