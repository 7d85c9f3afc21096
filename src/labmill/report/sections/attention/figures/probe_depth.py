"""In which layer the answer can be read."""

import math

from matplotlib.figure import Figure

from labmill.analysis.records import Examination
from labmill.report import style
from labmill.report.results import StudyResults

CAPTION = (
    "Validation accuracy of a linear probe on each layer's features (0: the embedding): "
    "the mean of the patches, and the class token from where it is there."
)
ALT = "Line charts of probe accuracy by layer, one line per variant."
READ = {"patches": "Mean of the patches", "token": "Class token"}


def draw(results: StudyResults) -> Figure | None:
    """Draw a panel per kind of feature, a line per examined variant."""
    found = {
        run.label: record.probe for run, record in results.analysed_runs(Examination)
    }
    if not found:
        return None
    read = {
        key: title
        for key, title in READ.items()
        if any(getattr(layer, key) is not None for p in found.values() for layer in p)
    }
    drawn, panels = style.grid(len(read), columns=2, height=2.5, sharey=True)
    looks = [style.look(i, ms=3.5) for i in range(len(found))]
    for axes, (key, title) in zip(panels, read.items(), strict=True):
        for look, (label, probe) in zip(looks, found.items(), strict=True):
            shares = [getattr(layer, key) for layer in probe]
            values = [math.nan if share is None else 100 * share for share in shares]
            marks = axes.plot([layer.layer for layer in probe], values, **look)
            style.note(marks, label, of=label)
        axes.set_title(title)
        axes.set_xlabel("Layer")
        axes.set_xticks(range(max(map(len, found.values()))))
    panels[0].set_ylabel("Probe accuracy (%)")
    style.guessing(panels[0], results.guessing)
    style.legend(drawn, list(found), looks, columns=3)
    return drawn
