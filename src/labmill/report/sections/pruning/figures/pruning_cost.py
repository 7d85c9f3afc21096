"""Accuracy of every pruned network against its operations and its measured latency."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.number_format import percent, short
from labmill.report.results import StudyResults
from labmill.report.sections.cost.figures.cost import logarithmic
from labmill.report.sections.pruning.networks import CONTROLS, Network, networks
from labmill.report.text import spaced
from labmill.search.pareto import front

CAPTION = (
    "Validation accuracy after fine-tuning against multiply–adds and against measured "
    "latency (of the first seed, at the largest batch that was timed), for all networks of "
    "the prune loops; the line joins the pruned ones that no other beats in both."
)
ALT = (
    "Scatter plots of accuracy against multiply-adds and latency with the Pareto front."
)
STAR: style.Look = {"marker": "*", "ms": 9, "color": style.INK, "ls": "none"}
COSTS = {"macs": "Multiply–adds per image", "latency_ms": "Latency (ms)"}


def draw(results: StudyResults) -> Figure | None:
    """Draw a panel per cost; a colour per loop and variant, a marker per control."""
    found = networks(results)
    if not any(net.step for net in found):
        return None
    groups: dict[str, list[Network]] = {}
    for net in found:
        name = f"{results.label(net.variant)}, {spaced(net.loop)}"
        groups.setdefault(name, []).append(net)
    shown = [c for c in COSTS if sum(bool(n.step and getattr(n, c)) for n in found) > 1]
    if not shown:
        return None
    drawn, panels = style.grid(len(shown), columns=2, height=2.7, sharey=True)
    for axes, cost in zip(panels, shown, strict=True):
        for i, (name, nets) in enumerate(groups.items()):
            for net in nets:
                if (x := getattr(net, cost)) is not None:
                    text = f"{name}: {percent(net.accuracy)}, {short(x)}"
                    marks = axes.plot(x, 100 * net.accuracy, **look(net, i))
                    style.note(marks, text, of=name)
        line(axes, [net for net in found if net.step and getattr(net, cost)], cost)
        logarithmic(axes)
        axes.set_xlabel(COSTS[cost])
    panels[0].set_ylabel("Validation accuracy (%)")
    style.guessing(panels[0], results.guessing)
    looks = [step_look(i) for i in range(len(groups))]
    names = [*groups, "as trained"]
    looks.append(STAR)
    for control, words in CONTROLS.items():
        if any(net.control == control for net in found):
            names.append(words)
            looks.append(hollow(control, style.INK))
    style.legend(drawn, names, looks, columns=2, length=40)
    return drawn


def look(net: Network, index: int) -> style.Look:
    """Return the mark of a network of the i-th loop."""
    if net.control:
        return hollow(net.control, style.color(index))
    return {"ms": 4.5, "alpha": 0.85, **step_look(index)} if net.step else STAR


def step_look(index: int) -> style.Look:
    """Return the mark of the i-th loop's steps."""
    return {
        "color": style.color(index),
        "marker": style.MARKERS[index % 3],
        "ls": "none",
    }


def hollow(control: str, color: str) -> style.Look:
    """Return the mark of a control."""
    marker = {"scratch": "D", "longer": "P"}[control]
    return {"marker": marker, "mfc": "none", "mec": color, "ls": "none", "ms": 6}


def line(axes: Axes, nets: list[Network], cost: str) -> None:
    """Draw the Pareto front of pruned networks."""
    x = np.array([getattr(net, cost) for net in nets], float)
    y = np.array([net.accuracy for net in nets])
    order = np.flatnonzero(front(x, y))
    order = order[np.argsort(x[order])]
    axes.plot(x[order], 100 * y[order], lw=1, color=style.MUTED, zorder=1)
