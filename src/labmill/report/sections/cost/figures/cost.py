"""Test accuracy against what a variant costs."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from labmill.report import style
from labmill.report.number_format import percent, short
from labmill.report.results import StudyResults

CAPTION = "Test accuracy (mean over seeds) against cost. Up and to the left is better."
ALT = "Scatter plots of test accuracy against three costs, one mark per variant."
COSTS = {
    "macs": "Multiply–adds",
    "parameters": "Parameters",
    "latency_ms_b1": "Latency, batch 1 (ms)",
}


def caption(results: StudyResults) -> str:
    """Return how far the networks' costs are apart, and what is drawn."""
    macs = [m.estimate for v in results.variants if (m := results.mean(v, "macs"))]
    if not macs or min(macs) == max(macs):
        return CAPTION
    ends = f"{short(min(macs))} to {short(max(macs))}"
    return f"Networks need {ends} multiply–adds per {results.thing}. {CAPTION}"


def draw(results: StudyResults) -> Figure | None:
    """Draw a panel per cost that differs, all with the same vertical axis."""
    accuracy = {
        v: m for v in results.variants if (m := results.mean(v, "test_accuracy"))
    }
    costs = {
        cost: {v: m.estimate for v in accuracy if (m := results.mean(v, cost))}
        for cost in COSTS
    }
    shown = {cost: of for cost, of in costs.items() if len({*of.values()}) > 1}
    if len({*costs["macs"].values()}) < 2 and len({*costs["parameters"].values()}) < 2:
        return None  # one network: its latencies differ by noise alone
    names = list(results.variants)
    drawn, panels = style.grid(len(shown), height=2.2, sharey=True)
    for axes, (cost, of) in zip(panels, shown.items(), strict=True):
        for variant, value in of.items():
            mean = accuracy[variant].estimate
            look = style.look(names.index(variant), ls="none", ms=6)
            label = results.label(variant)
            text = f"{label}: {percent(mean)}, {short(value)} ({COSTS[cost]})"
            style.note(axes.plot(value, 100 * mean, **look), text, of=label)
        logarithmic(axes)
        axes.set_xlabel(COSTS[cost])
    panels[0].set_ylabel("Test accuracy (%)")
    style.guessing(panels[0], results.guessing)
    looks = [style.look(names.index(variant), ls="none") for variant in accuracy]
    style.legend(drawn, [*map(results.label, accuracy)], looks, columns=3)
    return drawn


def logarithmic(axes: Axes) -> None:
    """Draw a logarithmic horizontal axis with few, readable marks."""
    low, high = axes.get_xlim()
    drawn = [np.asarray(line.get_xdata(), float) for line in axes.lines]
    values = np.concatenate(drawn or [np.empty(0)])
    values = values[values > 0]
    if not len(values) or values.min() * 3 > values.max():
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
    """Return 1, 2 and 5 times the powers of ten between two positive numbers."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [times * 10.0**power for power in powers for times in (1, 2, 5)]
    return [value for value in found if low <= value <= high]
