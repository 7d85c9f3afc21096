"""How far the heads of each layer look."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.examined import Examined, examined
from labmill.report.results import Results

CAPTION = (
    "Mean distance between a patch and what it attends to, on validation images: one "
    "mark per head; the axis shows the part of the scale in which they lie. Dashed: "
    "attention spread evenly over all patches."
)
ALT = "Small charts of attention distance in pixels by layer, one per variant."


def draw(results: Results) -> Figure | None:
    """A panel per examined variant."""
    all_found = list(examined(results))
    if not all_found:
        return None
    drawn, panels = style.grid(len(all_found), columns=4, height=1.6, sharey=True)
    for axes, found in zip(panels, all_found, strict=True):
        heads = np.array(found.figures["attention_distance"])
        layers = np.arange(1, len(heads) + 1)
        for column in heads.T:
            axes.plot(layers, column, "o", ms=3, color=style.color(0), alpha=0.7)
        axes.axhline(evenly(found), ls="--", lw=1, color=style.MUTED)
        axes.set_title(found.heading, fontsize=8)
        axes.set_xticks(layers)
    looks = [
        {"color": style.color(0), "marker": "o", "ls": "none", "ms": 3},
        {"color": style.MUTED, "ls": "--", "lw": 1},
    ]
    style.legend(drawn, ["a head", "even attention"], looks)
    drawn.supxlabel("Layer", fontsize=8.5)
    drawn.supylabel("Distance (pixels)", fontsize=8.5)
    return drawn


def evenly(found: Examined) -> float:
    """The distance, in pixels, if every patch looked at all alike."""
    line = np.arange(found.side) * found.figures["stride"]
    y, x = np.meshgrid(line, line, indexing="ij")
    points = np.stack((y.ravel(), x.ravel()), 1)
    return float(np.linalg.norm(points[:, None] - points[None], axis=-1).mean())
