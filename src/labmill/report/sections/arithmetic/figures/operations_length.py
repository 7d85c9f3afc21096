"""Operations and bytes of attention and feed-forward part against sequence length."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labmill.flops.formulas import overtakes
from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.arithmetic.tables import curve, sequence

CAPTION = (
    "One encoder block at 16 bits against sequence length: closed formulas as lines, what "
    "the counter saw as points. The vertical lines show where self-attention overtakes "
    "the feed-forward part; bytes with the scores written to memory are dashed."
)
ALT = (
    "Two line charts on logarithmic axes over the sequence length: multiplications, and "
    "bytes moved, of self-attention and of the feed-forward part, which cross."
)
PARTS = {"attention": "self-attention", "mlp": "feed-forward part"}
PANELS = {"multiplications": "Multiplications", "traffic_bytes": "Bytes moved"}


def draw(results: StudyResults) -> Figure | None:
    """Draw nothing where no sequence model was measured."""
    facts = sequence(results)
    if facts is None:
        return None
    lengths = np.unique(np.geomspace(8, 8192, 120).round().astype(int)).tolist()
    drawn, panels = style.grid(2, columns=2, height=2.6)
    sizes = facts.dim, facts.heads, facts.hidden
    looks: list[style.Look] = [
        {"color": style.color(i), "marker": style.MARKERS[i]} for i in range(2)
    ]
    for axes, (quantity, title) in zip(panels, PANELS.items(), strict=True):
        for look, part in zip(looks, PARTS, strict=True):
            axes.plot(
                lengths, curve(facts, part, quantity, lengths), color=look["color"]
            )
            for found in facts.lengths:
                counted = getattr(getattr(found, part), quantity)
                mark = axes.plot(found.n, counted, ms=4, ls="none", **look)
                style.note(mark, f"{PARTS[part]}, n = {found.n}: {counted:,}")
        cross(axes, overtakes(*sizes, quantity=quantity), "-")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("Sequence length n")
        axes.set_title(title)
    kept: style.Look = {"materialise_attention": True}
    written = curve(facts, "attention", "traffic_bytes", lengths, **kept)
    dashed: style.Look = {"color": style.color(0), "ls": style.DASHED}
    panels[1].plot(lengths, written, **dashed)
    cross(panels[1], overtakes(*sizes, quantity="traffic_bytes", **kept), style.DASHED)
    names = [*PARTS.values(), "self-attention, scores written"]
    style.legend(drawn, names, [*looks, dashed])
    return drawn


def cross(axes: Axes, length: int | None, dashes: Any) -> None:
    """Draw a vertical line with its length, where there is one."""
    if length is None:
        return
    axes.axvline(length, color=style.MUTED, lw=0.9, ls=dashes)
    axes.annotate(
        f"n = {length:,}",
        (length, 0.03),
        xycoords=("data", "axes fraction"),
        xytext=(3, 0),
        textcoords="offset points",
        fontsize=8,
        color=style.MUTED,
    )
