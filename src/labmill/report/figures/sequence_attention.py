"""Attention of a trained sequence model on one sequence of each kind."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.arithmetic import sequence
from labmill.report.results import Results

CAPTION = (
    "Attention on one validation sequence of each kind, mean over heads, first layers: "
    "which tokens (columns) each position (rows) looks at. In the decoder, rows are "
    "labelled by the token that is written there. C copy, R reverse, E end, S start; each "
    "map has its own scale, dark is much."
)
ALT = (
    "Heat maps: encoder self-attention, decoder self-attention and cross-attention, for "
    "copying and for reversal; in cross-attention one dark diagonal each where the network has learnt the task."
)
NAMES = {10: "C", 11: "R", 12: "E"}
PANELS = {
    "encoder": "Encoder",
    "decoder": "Decoder, to itself",
    "cross": "Decoder, to the source",
}


def draw(results: Results) -> Figure | None:
    """None where no sequence model was measured."""
    facts = sequence(results)
    if facts is None or not facts["maps"]:
        return None
    drawn = style.figure(2.35 * len(facts["maps"]))
    grid = drawn.subplots(len(facts["maps"]), len(PANELS), squeeze=False)
    for row, (kind, found) in zip(grid, facts["maps"].items(), strict=True):
        source, target = (
            [NAMES.get(t, str(t)) for t in found[k]] for k in ("source", "target")
        )
        given = ["S", *target[:-1]]
        labels = {
            "encoder": (source, source),
            "decoder": (target, given),
            "cross": (target, source),
        }
        for axes, (name, title) in zip(row, PANELS.items(), strict=True):
            weights = np.asarray(found[name])[0].mean(0)
            axes.imshow(weights, cmap=style.SEQUENTIAL, vmin=0)
            rows, columns = labels[name]
            axes.set_xticks(range(len(columns)), columns, fontsize=7)
            axes.set_yticks(range(len(rows)), rows, fontsize=7)
            axes.set_title(f"{kind.capitalize()}: {title.lower()}", fontsize=8)
            axes.grid(visible=False)
            axes.tick_params(length=0)
    return drawn
