"""Accuracy against the number of labels, a line for each way of starting."""

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from labmill.report import style
from labmill.report.number_format import percent
from labmill.report.results import StudyResults
from labmill.report.sweeps import Sweep, sweeps

CAPTION = (
    "Test accuracy against the number of labels: means over seeds with their 95 % "
    "intervals. The marks of one label count are spread a little."
)
ALT = (
    "Line chart: test accuracy over the number of labels on a logarithmic axis, one line "
    "with error bars for each way of starting."
)


def draw(results: StudyResults) -> list[Figure]:
    """Draw a figure per question that is asked at several label counts."""
    drawn = [lines(results, sweep) for sweep in sweeps(results.study)]
    return [figure for figure in drawn if figure]


def lines(results: StudyResults, sweep: Sweep) -> Figure | None:
    """Draw one question: a line per level."""
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
    looks = [style.look(i, ms=4.5) for i in range(len(found))]
    for i, (level, points) in enumerate(found.items()):
        apart = 1.025 ** (i - (len(found) - 1) / 2)
        means = [100 * mean.estimate for _, mean in points]
        marks = axes.plot([n * apart for n, _ in points], means, lw=1.4, **looks[i])
        style.note(marks, level, of=level)
        for n, mean in points:
            if mean.low is not None and mean.high is not None:
                ends = [100 * mean.low, 100 * mean.high]
                bar = axes.plot([n * apart] * 2, ends, lw=1.1, color=style.color(i))
                style.note(
                    bar, f"{level}, {n:,} labels: {percent(mean.estimate)}", of=level
                )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(counts))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(counts, [f"{n:,}" for n in counts])
    axes.set_xlabel("Labels")
    axes.set_ylabel("Test accuracy (%)")
    style.guessing(axes, results.guessing)
    style.legend(drawn, list(found), looks, columns=3, length=40)
    return drawn
