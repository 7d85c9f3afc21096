"""In which layer the answer can be read."""

import math

from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.examined import examined
from labmill.report.results import Results

CAPTION = (
    "Validation accuracy of a linear probe on each layer's features (0: the embedding): "
    "the mean of the patches, and the class token from where it is there."
)
ALT = "Line charts of probe accuracy by layer, one line per variant."
READ = {"patches": "Mean of the patches", "token": "Class token"}


def draw(results: Results) -> Figure | None:
    """Two panels, a line per examined variant."""
    all_found = list(examined(results))
    if not all_found:
        return None
    drawn, panels = style.grid(2, columns=2, height=2.5, sharey=True)
    for axes, (key, title) in zip(panels, READ.items(), strict=True):
        for i, found in enumerate(all_found):
            probe = found.figures["probe"]
            values = [math.nan if p[key] is None else 100 * p[key] for p in probe]
            look = style.look(i, ms=3.5)
            axes.plot([p["layer"] for p in probe], values, **look)
        axes.set_title(title)
        axes.set_xlabel("Layer")
        axes.set_xticks(range(max(len(f.figures["probe"]) for f in all_found)))
        axes.tick_params(labelleft=True)
    panels[0].set_ylabel("Probe accuracy (%)")
    labels = [style.shorten(found.label, 30) for found in all_found]
    looks = [style.look(i) for i in range(len(all_found))]
    style.legend(drawn, labels, looks, columns=3)
    return drawn
