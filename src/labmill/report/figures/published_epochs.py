"""What an earlier report printed epoch by epoch, beside ours."""

from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import Results

CAPTION = (
    "Epoch by epoch: published (hollow diamonds) and ours (line: mean over seeds). Where "
    "networks or images differ, so do the figures."
)
ALT = "Line charts, one per published figure: our curve and marks of the published one."

PUBLISHED = {
    "color": style.color(1),
    "ls": "none",
    "marker": "D",
    "ms": 4.5,
    "mfc": style.PAPER,
    "mew": 1.3,
}


def draw(results: Results) -> Figure | None:
    """A panel per network and figure that both have."""
    found = list(results.published_epochs())
    if not found:
        return None
    drawn, panels = style.grid(len(found), columns=3, height=1.9)
    for axes, (label, column, figure, theirs, ours) in zip(panels, found, strict=True):
        scale = 100 if column.endswith("accuracy") else 1
        line = ours * scale
        mark = "o" if len(line) == 1 else None
        axes.plot(line.index, line, color=style.color(0), lw=1.5, marker=mark)
        axes.plot(theirs.keys(), [scale * v for v in theirs.values()], **PUBLISHED)
        axes.set_title(f"{style.shorten(label, 30)}\n{figure}")
        axes.set_ylim(bottom=0)
        axes.tick_params(labelbottom=True, labelleft=True)
        axes.xaxis.get_major_locator().set_params(integer=True)
    drawn.supxlabel("Epoch", fontsize=8.5)
    looks = [PUBLISHED, {"color": style.color(0)}]
    style.legend(drawn, ["published", "ours"], looks)
    return drawn
