"""Accuracy against operations, a point per variant."""

from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import Results

CAPTION = (
    "Test accuracy against operations for one image: mean over seeds, small points the "
    "single seeds."
)
ALT = "Scatter plot: multiply-adds on a logarithmic axis, test accuracy; a point a variant."


def draw(results: Results) -> Figure | None:
    """None where nothing was measured."""
    return scatter(
        results, "test_accuracy", "Test accuracy (%)", 100, labels=results.variants
    )


def scatter(
    results: Results, column: str, name: str, scale: float, labels: dict[str, str]
) -> Figure | None:
    """A figure of the variants against their multiply-adds."""
    points = {
        variant: (macs[0], values)
        for variant in labels
        if (macs := results.values(variant, "macs"))
        and (values := results.values(variant, column))
    }
    if len(points) < 2:
        return None
    drawn = style.figure(2.7, style.WIDTH * 0.8)
    axes = drawn.subplots()
    for i, (macs, values) in enumerate(points.values()):
        mean = scale * sum(values) / len(values)
        axes.plot([macs] * len(values), [scale * v for v in values], ".", ms=3.5,
                  color=style.color(i), alpha=0.6)  # fmt: skip
        axes.plot(macs, mean, style.MARKERS[i % len(style.MARKERS)], ms=7,
                  color=style.color(i))  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("Multiply–adds for one image")
    axes.set_ylabel(name)
    axes.margins(x=0.15)
    style.legend(
        drawn,
        [style.shorten(labels[variant], 30) for variant in points],
        [
            {"color": style.color(i), "marker": style.MARKERS[i % 7], "ls": ""}
            for i in range(len(points))
        ],
        columns=2,
    )
    return drawn
