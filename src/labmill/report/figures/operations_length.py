"""Operations and bytes of attention and feed-forward part against sequence length."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labmill.measure.formulas import overtakes
from labmill.report import style
from labmill.report.arithmetic import curve, sequence
from labmill.report.results import Results

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
DASHED = (0, (3, 1.5))


def draw(results: Results) -> Figure | None:
    """None where no sequence model was measured."""
    facts = sequence(results)
    if facts is None:
        return None
    lengths = np.unique(np.geomspace(8, 8192, 120).round().astype(int)).tolist()
    drawn = style.figure(2.9)
    panels = drawn.subplots(1, 2)
    sizes = facts["dim"], facts["heads"], facts["hidden"]
    for axes, quantity, name in zip(
        panels,
        ("multiplications", "traffic_bytes"),
        ("Multiplications", "Bytes moved"),
        strict=True,
    ):
        for i, part in enumerate(PARTS):
            axes.plot(
                lengths, curve(facts, part, quantity, lengths), color=style.color(i)
            )
            axes.plot(
                [found["n"] for found in facts["lengths"]],
                [found[part][quantity] for found in facts["lengths"]],
                style.MARKERS[i],
                ms=4,
                color=style.color(i),
            )
        cross(axes, overtakes(*sizes, quantity=quantity), "-")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("Sequence length n")
        axes.set_title(name)
    kept = {"materialise_attention": True}
    panels[1].plot(
        lengths,
        curve(facts, "attention", "traffic_bytes", lengths, **kept),
        ls=DASHED,
        color=style.color(0),
    )
    cross(panels[1], overtakes(*sizes, quantity="traffic_bytes", **kept), DASHED)
    styles = [{"color": style.color(i), "marker": style.MARKERS[i]} for i in range(2)]
    style.legend(
        drawn,
        [*PARTS.values(), "self-attention, scores written"],
        [*styles, {"color": style.color(0), "ls": DASHED}],
    )
    return drawn


def cross(axes: Axes, length: int | None, dashes: Any) -> None:
    """A vertical line with its length, where there is one."""
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
