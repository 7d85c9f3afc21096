"""Test accuracy against what a variant costs."""

import math

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from labmill.report import charts, style
from labmill.report.results import Results
from labmill.report.text import short

CAPTION = (
    "Test accuracy (mean over seeds) against cost: multiply–adds per image, parameters, "
    "latency at batch 1. Up and to the left is better."
)
ALT = "Scatter plots of test accuracy against three costs, one mark per variant."
COSTS = {
    "macs": "Multiply–adds",
    "parameters": "Parameters",
    "latency_ms_b1": "Latency, batch 1 (ms)",
}


def draw(results: Results) -> Figure | None:
    """A panel per cost, all with the same vertical axis."""
    accuracy = {
        v: m for v in results.variants if (m := results.mean(v, "test_accuracy"))
    }
    shown = [c for c in COSTS if sum(bool(results.values(v, c)) for v in accuracy) > 1]
    if not shown:
        return None
    drawn, panels = style.grid(len(shown), height=2.2, sharey=True)
    names = list(results.variants)
    for axes, cost in zip(panels, shown, strict=True):
        for variant, mean in accuracy.items():
            if found := results.mean(variant, cost):
                axes.plot(
                    found.estimate,
                    100 * mean.estimate,
                    ms=6,
                    **style.look(names.index(variant), ls="none"),
                )
        logarithmic(axes)
        axes.set_xlabel(COSTS[cost])
    panels[0].set_ylabel("Test accuracy (%)")
    labels = [style.shorten(results.label(variant), 30) for variant in accuracy]
    styles = [style.look(names.index(variant), ls="none") for variant in accuracy]
    style.legend(drawn, labels, styles, columns=3)
    return drawn


def logarithmic(axes: object) -> None:
    """A logarithmic horizontal axis with few, readable marks."""
    low, high = axes.get_xlim()
    values = [v for line in axes.lines for v in line.get_xdata() if v > 0]
    if not values or min(values) * 3 > max(values):
        axes.set_xlim(max(0, low), high)
        axes.locator_params(axis="x", nbins=4)
    else:
        axes.set_xscale("log")
        marks = round_numbers(*axes.get_xlim())
        axes.xaxis.set_major_locator(FixedLocator(marks[:: -(-len(marks) // 5) or 1]))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda v, _: short(v).replace("\u00a0", ""))
    )


def round_numbers(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten between two positive numbers."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [times * 10.0**power for power in powers for times in (1, 2, 5)]
    return [value for value in found if low <= value <= high]


def chart(results: Results) -> object:
    """One chart; hovering tells all three costs."""
    return charts.cost(results, COSTS)
