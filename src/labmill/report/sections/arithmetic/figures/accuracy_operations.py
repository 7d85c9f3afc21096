"""Accuracy against operations, a point per variant."""

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.number_format import percent, short
from labmill.report.results import StudyResults

CAPTION = (
    "Test accuracy against operations for one image: mean over seeds, small points the "
    "single seeds."
)
ALT = "Scatter plot: multiply-adds on a logarithmic axis, test accuracy; a point a variant."


def draw(results: StudyResults) -> Figure | None:
    """Draw nothing where fewer than two variants have both."""
    points = {
        label: (macs[0], accuracies)
        for variant, label in results.variants.items()
        if (macs := results.values(variant, "macs"))
        and (accuracies := results.values(variant, "test_accuracy"))
    }
    if len(points) < 2:
        return None
    drawn = style.figure(2.7, 0.8)
    axes = drawn.subplots()
    looks = [style.look(i, ls="") for i in range(len(points))]
    for look, (label, (each, accuracies)) in zip(looks, points.items(), strict=True):
        seeds = look | {"marker": ".", "ms": 3.5, "alpha": 0.6}
        percents = [100 * accuracy for accuracy in accuracies]
        mean = sum(percents) / len(percents)
        marks = axes.plot([each] * len(percents), percents, **seeds)
        marks += axes.plot(each, mean, ms=7, **look)
        style.note(marks, f"{label}: {percent(mean / 100)}, {short(each)}", of=label)
    operations_axis(axes, [macs for macs, _ in points.values()])
    axes.set_xlabel("Multiply–adds for one image")
    axes.set_ylabel("Test accuracy (%)")
    style.guessing(axes, results.guessing)
    style.legend(drawn, list(points), looks, columns=2)
    return drawn


def operations_axis(axes: Axes, macs: Iterable[float]) -> None:
    """Draw a logarithmic axis whose marks are the networks themselves, at most six."""
    axes.set_xscale("log")
    axes.margins(x=0.15)
    apart: list[float] = []
    for value in sorted(set(macs)):
        if not apart or value > 1.25 * apart[-1]:
            apart.append(value)
    axes.set_xticks(apart[:: -(-len(apart) // 6)], minor=False)
    axes.xaxis.set_major_formatter(lambda value, _: short(value))
    axes.set_xticks([], minor=True)
