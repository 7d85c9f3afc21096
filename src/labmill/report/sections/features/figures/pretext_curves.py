"""Training without labels: loss and accuracy of the pretext task over its epochs."""

import pandas as pd
from matplotlib.figure import Figure

from labmill.report.results import StudyResults
from labmill.report.sections.curves.epochs import side_by_side

CAPTION = (
    "The pretext task over its epochs, one line per seed: training solid, held-out "
    "validation images dashed. Both are of turned images; no labels are used."
)
ALT = (
    "Two line charts over the epochs, loss and accuracy of the pretext task, training as "
    "solid and validation as dashed lines."
)
ROTATIONS = 4


def draw(results: StudyResults) -> Figure | None:
    """Draw two panels, a colour per pretext task."""
    found: dict[str, list[pd.DataFrame]] = {}
    for run in results.of_kind("pretext"):
        if len(history := run.rows()):
            found.setdefault(run.label, []).append(history)
    return side_by_side(found, 1 / ROTATIONS)
