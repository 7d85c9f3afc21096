"""Memory over one training step."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.profiles import profiled
from labmill.report.results import Results

CAPTION = (
    "Memory over a typical training step, beside weights, optimizer state and images; "
    "upright lines: where a phase begins. It rises while the forward pass keeps "
    "activations; the backward pass uses these up and adds the gradients of the weights "
    "(dashed: all of them), which are let go at the step's end. The profiler was on, so "
    "the step took longer than in the table."
)
ALT = "Step charts of allocated memory against time, one panel per variant."
# A phase that is shorter, as a share of the step, is not named.
NAMED = 0.13


def draw(results: Results) -> Figure | None:
    """A panel per variant."""
    found = profiled(results)
    if not found:
        return None
    drawn, panels = style.grid(len(found), columns=2, height=1.7)
    for axes, (variant, profile) in zip(panels, found.items(), strict=True):
        memory = profile["memory"]
        moments, sizes = zip(*memory["timeline"], strict=True)
        values = [size / 1e6 for size in sizes]
        color = style.color(0)
        axes.fill_between(moments, values, step="post", color=color, alpha=0.3, lw=0)
        axes.step(moments, values, where="post", color=color, lw=1.1)
        axes.set_title(style.shorten(results.label(variant), 40), pad=12)
        axes.set_xlim(0, moments[-1])
        axes.set_ylim(0, 1.05 * max(values))
        gradients = memory["gradient_bytes"] / 1e6
        axes.axhline(gradients, color=style.color(1), ls="--", lw=1)
        phases(axes, memory["borders"], moments[-1])
        axes.tick_params(labelleft=True, labelbottom=True)
        axes.locator_params(axis="x", nbins=5)
        axes.grid(axis="x", visible=False)
    drawn.supxlabel("Time within the step (ms)", fontsize=8.5)
    drawn.supylabel("MB", fontsize=8.5)
    return drawn


def phases(axes: Axes, borders: list[list[Any]], end: float) -> None:
    """A line where each phase begins, and the names of the long ones above."""
    ends = [begin for _, begin in borders[1:]] + [end]
    for (name, begin), until in zip(borders, ends, strict=True):
        axes.axvline(begin, color=style.MUTED, lw=0.6)
        if until - begin >= NAMED * end:
            axes.annotate(
                name,
                ((begin + until) / 2, 1.01),
                xycoords=("data", "axes fraction"),
                ha="center",
                fontsize=7,
                color=style.MUTED,
            )
