"""Accuracy against the number of labels, a line for each way of starting."""

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from labmill.report import style
from labmill.report.budgets import Sweep, sweeps
from labmill.report.results import Results

CAPTION = (
    "Test accuracy against the number of labels: means over seeds with their 95 % "
    "intervals. The marks of one label count stand a little apart."
)
ALT = (
    "Line chart: test accuracy over the number of labels on a logarithmic axis, one line "
    "with error bars for each way of starting."
)


def draw(results: Results) -> list[Figure] | None:
    """One figure per question that is asked at several label counts."""
    drawn = [lines(results, sweep) for sweep in sweeps(results.study)]
    return [figure for figure in drawn if figure] or None


def lines(results: Results, sweep: Sweep) -> Figure | None:
    """One question: a line per level."""
    total = results.sizes.get("train", 0)
    counts = [labels or total for labels in sweep.labels]
    found = {
        level: [
            (n, mean)
            for n, variant in zip(counts, variants, strict=True)
            if (mean := results.mean(variant, "test_accuracy"))
        ]
        for level, variants in sweep.levels.items()
    }
    if not any(found.values()):
        return None
    drawn = style.figure(2.9)
    axes = drawn.subplots()
    looks = []
    for i, points in enumerate(found.values()):
        look = style.look(i, ms=4.5)
        looks.append(look)
        apart = 1.025 ** (i - (len(found) - 1) / 2)
        x = [n * apart for n, _ in points]
        axes.plot(x, [100 * mean.estimate for _, mean in points], lw=1.4, **look)
        for place, (_, mean) in zip(x, points, strict=True):
            if mean.low is not None and mean.high is not None:
                ends = [100 * mean.low, 100 * mean.high]
                axes.plot([place, place], ends, lw=1.1, color=style.color(i))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(counts))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(counts, [f"{n:,}" for n in counts])
    axes.set_xlabel("Labels")
    axes.set_ylabel("Test accuracy (%)")
    style.legend(drawn, [style.shorten(level, 40) for level in found], looks, columns=3)
    return drawn
