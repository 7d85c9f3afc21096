"""Loss over the epochs, a panel per variant."""

from matplotlib.figure import Figure

from labmill.report.figures.curves import multiples
from labmill.report.results import Results

CAPTION = (
    "Loss over the epochs, one line per seed: training solid, validation dashed. A line "
    "that leaves its panel at the top goes on above it."
)
ALT = (
    "Line charts, one panel per variant: training loss as solid and validation loss as "
    "dashed lines over the epochs, one thin line per seed."
)


def draw(results: Results) -> list[Figure] | None:
    """Small multiples with shared axes."""
    return multiples(results, "loss", "Loss", 1)
