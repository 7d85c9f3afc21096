"""How far the heads of each layer look."""

import numpy as np
from matplotlib.figure import Figure

from labmill.analysis.records import Examination
from labmill.report import style
from labmill.report.results import StudyResults

CAPTION = (
    "Mean distance between a patch and what it attends to, on validation images: one "
    "mark per head. Dashed: attention spread evenly over all patches."
)
ALT = "Small charts of attention distance in pixels by layer, one per variant."
HEAD: style.Look = {"color": style.color(0), "marker": "o", "ls": "none", "ms": 3}
EVEN: style.Look = {"color": style.MUTED, "ls": "--", "lw": 1}


def draw(results: StudyResults) -> Figure | None:
    """Draw a panel per examined variant."""
    found = list(results.analysed_runs(Examination))
    if not found:
        return None
    drawn, panels = style.grid(len(found), columns=4, sharey=True)
    for axes, (run, record) in zip(panels, found, strict=True):
        heads = np.array(record.attention_distance)
        layers = np.arange(1, len(heads) + 1)
        axes.plot(layers, heads, alpha=0.7, **HEAD)
        axes.axhline(record.even_distance, **EVEN)
        axes.set_title(style.label(run.label, 21, lines=2), fontsize=8)
        axes.set_xticks(layers)
    style.legend(drawn, ["a head", "even attention"], [HEAD, EVEN])
    drawn.supxlabel("Layer")
    drawn.supylabel("Distance (pixels)")
    return drawn
