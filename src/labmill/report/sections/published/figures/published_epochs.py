"""An earlier report's metrics epoch by epoch, and ours."""

from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.results.figures.accuracy import PUBLISHED

CAPTION = (
    "Epoch by epoch: published (hollow diamonds) and ours (line: mean over seeds). Where "
    "networks or images differ, so do the metrics."
)
ALT = "Line charts, one per published metric: our curve and marks of the published one."


def draw(results: StudyResults) -> Figure | None:
    """Draw a panel per network and metric that both have."""
    found = list(results.published_epochs())
    if not found:
        return None
    drawn, panels = style.grid(len(found), columns=3, height=1.9)
    for axes, (label, column, title, theirs, ours) in zip(panels, found, strict=True):
        factor = 100 if column.endswith("accuracy") else 1
        mark = "o" if len(ours) == 1 else None
        axes.plot(ours.index, factor * ours, color=style.color(0), lw=1.5, marker=mark)
        axes.plot(list(theirs), [factor * v for v in theirs.values()], **PUBLISHED)
        axes.set_title(f"{style.label(label, 28)}\n{style.label(title, 28, lines=2)}")
        axes.set_ylim(bottom=0)
        if column.endswith("accuracy"):
            style.guessing(axes, results.guessing)
        style.epochs(axes)
    drawn.supxlabel("Epoch")
    style.legend(drawn, ["published", "ours"], [PUBLISHED, {"color": style.color(0)}])
    return drawn
