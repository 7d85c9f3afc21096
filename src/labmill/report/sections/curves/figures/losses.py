"""Loss over the epochs, a panel per variant."""

from matplotlib.figure import Figure

from labmill.report.results import StudyResults
from labmill.report.sections.curves.figures.curves import multiples

CAPTION = (
    "Loss over the epochs, one line per seed: training solid, validation dashed. The "
    "axis may be cut off at the top."
)
ALT = (
    "Line charts, one panel per variant: training loss as solid and validation loss as "
    "dashed lines over the epochs, one thin line per seed."
)


def draw(results: StudyResults) -> list[Figure]:
    """Draw small multiples with shared axes."""
    return multiples(results, "loss")
