"""Loss and accuracy over the batches, where the study records them."""

from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.curves.epochs import METRICS

CAPTION = (
    "Loss and accuracy of training batches over the batches seen, as recorded every few "
    "batches (first seed): thin as recorded, thick the mean of twenty-one recordings."
)
ALT = "Line charts: training loss and accuracy over the number of batches seen."
SMOOTH = 21


def draw(results: StudyResults) -> Figure | None:
    """Draw a line per variant, its first seed; demonstrations have a separate figure."""
    lessons = results.study.get("lessons")
    apart = {*lessons["variants"], lessons["reference"]} if lessons else set()
    found = {
        run.label: steps
        for variant in results.variants
        for run in results.stages(variant)[:1]
        if variant not in apart and len(steps := run.rows("batches")) > 1
    }
    if not found:
        return None
    drawn, panels = style.grid(len(METRICS), columns=2, height=2.3)
    looks = [{"color": style.color(i), "ls": style.dash(i)} for i in range(len(found))]
    for axes, (column, (title, factor)) in zip(panels, METRICS.items(), strict=True):
        for (label, steps), look in zip(found.items(), looks, strict=True):
            # Recordings are equally many batches apart, the first in the first epoch.
            x = steps["step"].iloc[0] * (steps.index + 1)
            y = factor * steps[column]
            mean = y.rolling(SMOOTH, center=True, min_periods=1).mean()
            marks = axes.plot(x, y, lw=0.4, alpha=0.35, color=look["color"])
            marks += axes.plot(x, mean, lw=1.3, **look)
            style.note(marks, label, of=label)
        axes.set_ylabel(title)
        axes.set_ylim(bottom=0)
    style.guessing(panels[1], results.guessing)
    drawn.supxlabel("Batches")
    style.legend(drawn, list(found), looks)
    return drawn
