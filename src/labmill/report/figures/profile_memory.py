"""Memory over one training step."""

from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.profiles import profiled
from labmill.report.results import Results

CAPTION = (
    "Memory over one training step, beside weights, optimizer state and images: it rises "
    "while the forward pass keeps activations, and falls as the backward pass uses them "
    "up. The profiler was on, so the step took longer than in the table."
)
ALT = "Step charts of allocated memory against time, one panel per variant."


def draw(results: Results) -> Figure | None:
    """A panel per variant."""
    found = profiled(results)
    if not found:
        return None
    drawn, panels = style.grid(len(found), height=1.7)
    for number, (axes, (variant, profile)) in enumerate(
        zip(panels, found.items(), strict=True)
    ):
        memory = profile["memory"]
        moments, sizes = zip(*memory["timeline"], strict=True)
        values = [size / 1e6 for size in sizes]
        axes.fill_between(
            moments, values, step="post", color=style.color(number), alpha=0.3, lw=0
        )
        axes.step(moments, values, where="post", color=style.color(number), lw=1.1)
        axes.set_title(style.shorten(results.label(variant), 28))
        axes.set_ylim(bottom=0)
        axes.tick_params(labelleft=True, labelbottom=True)
        axes.locator_params(axis="x", nbins=4)
    drawn.supxlabel("Time within the step (ms)", fontsize=8.5)
    drawn.supylabel("MB", fontsize=8.5)
    return drawn
