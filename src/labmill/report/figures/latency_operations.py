"""Latency against operations, a panel per batch size."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.arithmetic import measured
from labmill.report.figures.accuracy_operations import operations_axis
from labmill.report.results import Results

CAPTION = (
    "Latency against operations: median time per image on one thread, bars from the "
    "first to the third quartile. A falling time would lie on the dotted line if it fell "
    "with the operations. Networks with equal operations stand side by side."
)
APART = 1.12  # the ratio at which two marks beside each other can be told apart
ALT = (
    "Scatter plots, one panel per batch size: multiply-adds and time per image, both on "
    "logarithmic axes, a point a variant with its quartiles."
)


def draw(results: Results) -> Figure | None:
    """None where fewer than two variants were measured."""
    found = {
        label: facts
        for variant, label in results.variants.items()
        if (facts := measured(results, variant))
    }
    if len(found) < 2:
        return None
    batches = [timing["batch"] for timing in next(iter(found.values()))["latency"]]
    drawn, panels = style.grid(len(batches), height=2.1, sharey=True)
    for number, (batch, axes) in enumerate(zip(batches, panels, strict=True)):
        for i, facts in enumerate(found.values()):
            timing = facts["latency"][number]
            alike = [f["macs"] == facts["macs"] for f in found.values()]
            # Networks of equal operations side by side: one would hide the other.
            step = sum(alike[:i]) - (sum(alike) - 1) / 2
            median, q1, q3 = (
                timing[key] / batch for key in ("median_ms", "q1_ms", "q3_ms")
            )
            axes.errorbar(
                facts["macs"] * APART**step,
                median,
                yerr=[[median - q1], [q3 - median]],
                fmt=style.marker(i),
                ms=5,
                lw=1.2,
                color=style.color(i),
            )
        proportional(axes)
        axes.set_title(f"batch {batch}")
        axes.set_yscale("log")
        axes.margins(y=0.2)
        operations_axis(axes, (facts["macs"] for facts in found.values()))
        axes.label_outer()
    drawn.supxlabel("Multiply–adds for one image", fontsize=8.5)
    drawn.supylabel("Time per image (ms)", fontsize=8.5)
    styles = [style.look(i, ls="") for i in range(len(found))]
    labels = [style.shorten(label, 24) for label in found]
    style.legend(drawn, labels, styles, columns=min(4, 2 * len(batches)))
    return drawn


def proportional(axes: Axes) -> None:
    """A line along which time is in proportion to operations, through the dearest."""
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines]
    (least, _), (most, at) = min(points), max(points)
    axes.plot([least, most], [at * least / most, at], ":", color=style.MUTED, lw=1)
