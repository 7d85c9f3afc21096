"""Loss and accuracy over the epochs in two panels, all variants together."""

import pandas as pd
from matplotlib.figure import Figure

from labmill.report.results import StudyResults
from labmill.report.sections.curves.epochs import side_by_side, trained

CAPTION = (
    "Loss and accuracy over the epochs, means over the seeds still in training: training "
    "solid, validation dashed."
)
ALT = (
    "Two line charts over the epochs: loss and accuracy, a colour per variant, training "
    "as solid and validation as dashed lines."
)


def draw(results: StudyResults) -> Figure | None:
    """Draw the means of each variant."""
    means = {
        label: [
            pd.concat(histories)
            .groupby("epoch", as_index=False)
            .mean(numeric_only=True)
        ]
        for label, histories in trained(results).items()
    }
    return side_by_side(means, results.guessing)
