"""Memory over one training step."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.profile.profiles import profiled

CAPTION = (
    "Memory over a typical training step, without weights, optimizer state and images; "
    "upright lines: where a phase begins. It rises while the forward pass keeps "
    "activations; the backward pass uses these up and adds the gradients of the weights "
    "(dashed: of all weights), which are freed at the step's end. The profiler was on, so "
    "the step took longer than in the table."
)
ALT = "Step charts of allocated memory against time, one panel per variant."
# A phase that is shorter, as a share of the step, is not named.
NAMED = 0.13


def draw(results: StudyResults) -> Figure | None:
    """Draw a panel per variant."""
    found = profiled(results)
    if not found:
        return None
    drawn, panels = style.grid(len(found), columns=2, height=1.7)
    for axes, (variant, profile) in zip(panels, found.items(), strict=True):
        memory = profile.memory
        moments = [moment for moment, _ in memory.timeline]
        values = [size / 1e6 for _, size in memory.timeline]
        color = style.color(0)
        axes.fill_between(moments, values, step="post", color=color, alpha=0.3, lw=0)
        axes.step(moments, values, where="post", color=color, lw=1.1)
        axes.set_title(style.label(results.label(variant), 40), pad=12)
        axes.set_xlim(0, moments[-1])
        axes.set_ylim(0, 1.05 * max(values))
        gradients = memory.gradient_bytes / 1e6
        axes.axhline(gradients, color=style.color(1), ls="--", lw=1)
        phases(axes, memory.borders, moments[-1])
        axes.locator_params(axis="x", nbins=5)
        axes.grid(axis="x", visible=False)
    drawn.supxlabel("Time within the step (ms)")
    drawn.supylabel("MB")
    return drawn


def phases(axes: Axes, borders: Sequence[tuple[str, float]], end: float) -> None:
    """Draw a line where each phase begins, and the names of the long ones above."""
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
