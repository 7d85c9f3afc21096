"""Published accuracies and ours."""

from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.number_format import percent
from labmill.report.results import StudyResults
from labmill.report.sections.results.figures.accuracy import (
    PUBLISHED,
    mean_with_interval,
    published_accuracies,
)

CAPTION = (
    "Test accuracy: published (hollow) and ours (filled: mean over seeds with its 95 % "
    "interval)."
)
ALT = "Dot chart: published and own test accuracy of each variant."


def draw(results: StudyResults) -> Figure | None:
    """Draw a row per variant that has both."""
    rows = [
        (results.label(variant), theirs, mean)
        for variant, theirs in published_accuracies(results).items()
        if (mean := results.mean(variant, "test_accuracy"))
    ]
    if not rows:
        return None
    drawn, axes = style.rows_of([label for label, *_ in rows])
    for row, (label, theirs, mean) in enumerate(rows):
        ends = [100 * theirs, 100 * mean.estimate]
        axes.plot(ends, [row, row], lw=0.8, color=style.MUTED)
        mean_with_interval(axes, mean, row, style.color(0), label)
        mark = axes.plot(100 * theirs, row, **PUBLISHED)
        style.note(mark, f"{label}: published {percent(theirs)}", of=label)
    axes.set_xlabel("Test accuracy (%)")
    style.guessing(axes, results.guessing, across=True)
    ours: style.Look = {"color": style.color(0), "marker": "o"}
    style.legend(drawn, ["published", "ours"], [PUBLISHED, ours])
    return drawn
