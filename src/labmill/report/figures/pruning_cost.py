"""Accuracy of every pruned network against its operations and its measured latency."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.figures.cost import logarithmic
from labmill.report.pruned import CONTROLS, Network, networks
from labmill.report.results import Results
from labmill.search.pareto import front

CAPTION = (
    "Validation accuracy after fine-tuning against multiply–adds and against measured "
    "latency (of the first seed, at the largest batch that was timed), for every pruned "
    "network, the network as trained and the controls; the line joins the pruned "
    "networks that no other beats in both."
)
ALT = (
    "Scatter plots of accuracy against multiply-adds and latency with the Pareto front."
)
STAR = {"marker": "*", "ms": 9, "color": style.INK}
COSTS = {"macs": "Multiply–adds per image", "latency_ms": "Latency (ms)"}


def draw(results: Results) -> Figure | None:
    """A panel per cost; a colour per loop and variant, a marker per control."""
    found = networks(results)
    if not any(net.step for net in found):
        return None
    groups: dict[str, list[Network]] = {}
    for net in found:
        name = f"{results.label(net.variant)}, {net.loop}"
        groups.setdefault(name, []).append(net)
    shown = [c for c in COSTS if sum(bool(n.step and getattr(n, c)) for n in found) > 1]
    drawn, panels = style.grid(len(shown), columns=2, height=2.7, sharey=True)
    for axes, cost in zip(panels, shown, strict=True):
        for i, nets in enumerate(groups.values()):
            marks(axes, nets, cost, i)
        line(axes, [net for net in found if net.step], cost)
        logarithmic(axes)
        axes.set_xlabel(COSTS[cost])
    panels[0].set_ylabel("Validation accuracy (%)")
    looks = [look(i) for i in range(len(groups))]
    names = [style.shorten(name, 40) for name in groups]
    names.append("as trained")
    looks.append(STAR | {"ls": "none"})
    for control, words in CONTROLS.items():
        if any(net.control == control for net in found):
            names.append(words)
            looks.append(hollow(control, style.INK))
    style.legend(drawn, names, looks, columns=2)
    return drawn


def look(index: int) -> dict[str, object]:
    """Of the steps of the i-th loop."""
    marker = style.MARKERS[index % 3]
    return {"color": style.color(index), "marker": marker, "ls": "none"}


def hollow(control: str, color: str) -> dict[str, object]:
    """Of a control."""
    marker = {"scratch": "D", "longer": "P"}[control]
    return {"marker": marker, "mfc": "none", "mec": color, "ls": "none", "ms": 6}


def marks(axes: Axes, nets: list[Network], cost: str, index: int) -> None:
    """One loop's networks, where the cost is known."""
    for net in nets:
        if (x := getattr(net, cost)) is None:
            continue
        y = 100 * net.accuracy
        if net.control:
            axes.plot(x, y, **hollow(net.control, style.color(index)))
        elif net.step:
            axes.plot(x, y, ms=4.5, alpha=0.85, **look(index))
        else:
            axes.plot(x, y, zorder=3, **STAR)


def line(axes: Axes, nets: list[Network], cost: str) -> None:
    """The Pareto front of pruned networks."""
    known = [net for net in nets if getattr(net, cost) is not None]
    x = np.array([getattr(net, cost) for net in known], float)
    y = np.array([net.accuracy for net in known])
    order = np.flatnonzero(front(x, y))
    order = order[np.argsort(x[order])]
    axes.plot(x[order], 100 * y[order], lw=1, color=style.MUTED, zorder=1)
