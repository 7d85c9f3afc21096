"""Attention of a trained sequence model on one sequence of each kind."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.arithmetic.tables import sequence

CAPTION = (
    "Attention on one validation sequence of each kind, mean over heads, first layers: "
    "which tokens (columns) each position (rows) looks at. In the decoder, rows are "
    "labelled by the token that is written there. C copy, R reverse, E end, S start; each "
    "map has its own scale, dark is much (bright on dark pages)."
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


def draw(results: StudyResults) -> Figure | None:
    """Draw nothing where no sequence model was measured."""
    facts = sequence(results)
    if facts is None or not facts.maps:
        return None
    each = [(kind, name) for kind in facts.maps for name in PANELS]
    drawn, panels = style.grid(len(each), height=2.2)
    for axes, (kind, name) in zip(panels, each, strict=True):
        found = facts.maps[kind]
        source, target = (
            [NAMES.get(t, str(t)) for t in tokens]
            for tokens in (found.source, found.target)
        )
        rows, columns = {
            "encoder": (source, source),
            "decoder": (target, ["S", *target[:-1]]),
            "cross": (target, source),
        }[name]
        weights = np.asarray(getattr(found, name))[0].mean(0)
        style.heat(axes, weights / weights.max())
        axes.set_aspect("equal")
        axes.set_xticks(range(len(columns)), columns, fontsize=7)
        axes.set_yticks(range(len(rows)), rows, fontsize=7)
        axes.set_title(f"{kind.capitalize()}:\n{PANELS[name].lower()}", fontsize=8)
    return drawn
