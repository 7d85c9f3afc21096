"""What each prune step costs, and what fine-tuning wins back."""

import pandas as pd
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.read import made_by_all
from labmill.report.results import Results

CAPTION = (
    "Validation accuracy at each prune step: before, directly after removing units, and "
    "after fine-tuning. Thin lines are single seeds, thick ones their mean as far as all go."
)
ALT = "Line charts, one panel per prune loop and variant: three lines over the steps."
LINES = {
    "before": "before",
    "after_pruning": "after pruning",
    "finetuned": "fine-tuned",
}


def draw(results: Results) -> Figure | None:
    """A panel per loop and variant."""
    loops = [
        (loop, variant, pd.DataFrame(steps))
        for loop, variants in results.pruned.items()
        for variant, steps in variants.items()
    ]
    if not loops:
        return None
    columns = 1 if len(loops) == 1 else 2
    drawn, panels = style.grid(len(loops), columns=columns, height=2.4)
    if columns == 1:
        drawn.set_size_inches(style.WIDTH, 2.75)
    for axes, (loop, variant, steps) in zip(panels, loops, strict=True):
        axes.tick_params(labelbottom=True, labelleft=True)
        for i, column in enumerate(LINES):
            look = {"color": style.color(i), "marker": style.MARKERS[i]}
            for _, own in steps.groupby("seed"):
                axes.plot(
                    own["step"],
                    100 * own[column],
                    lw=0.6,
                    alpha=0.5,
                    color=look["color"],
                )
            kept = made_by_all({step: rows for step, rows in steps.groupby("step")})
            mean = 100 * steps.groupby("step")[column].mean()[kept]
            axes.plot(mean.index, mean, ms=4, **look)
        axes.set_title(style.shorten(f"{results.label(variant)}, {loop}", 40))
        axes.set_xlabel("Step")
        axes.set_ylabel("Validation accuracy (%)")
        axes.xaxis.get_major_locator().set_params(integer=True)
    styles = [
        {"color": style.color(i), "marker": style.MARKERS[i]} for i in range(len(LINES))
    ]
    style.legend(drawn, list(LINES.values()), styles)
    return drawn
