"""Loss and accuracy over the batches, where the study records them."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import Results

CAPTION = (
    "Loss and accuracy of training batches over the batches seen, as recorded every few "
    "batches (first seed): thin as they are, thick the mean of twenty-one recordings."
)
ALT = "Line charts: training loss and accuracy over the number of batches seen."
PANELS = {"loss": ("Loss", 1), "accuracy": ("Accuracy (%)", 100)}
SMOOTH = 21


def draw(results: Results) -> Figure | None:
    """A line per variant, its first seed; lessons have a figure of their own."""
    lessons = results.study.get("lessons")
    shown = {*lessons["variants"], lessons["reference"]} if lessons else set()
    lines = {}
    for variant, label in results.variants.items():
        for record in [] if variant in shown else results.stages(variant)[:1]:
            steps = results.history(record, "batches")
            if len(steps) > 1:
                lines[label] = steps
    if not lines:
        return None
    drawn, panels = style.grid(len(PANELS), columns=2, height=2.3)
    styles = [
        {"color": style.color(i), "ls": style.dash(i)} for i, _ in enumerate(lines)
    ]
    for axes, (column, (name, scale)) in zip(panels, PANELS.items(), strict=True):
        for steps, look in zip(lines.values(), styles, strict=True):
            x, y = batches(steps), scale * steps[column]
            axes.plot(x, y, lw=0.4, alpha=0.35, color=look["color"])
            mean = y.rolling(SMOOTH, center=True, min_periods=1).mean()
            axes.plot(x, mean, lw=1.3, **look)
        axes.set_ylabel(name)
        axes.tick_params(labelleft=True)
        axes.set_ylim(bottom=0)
    drawn.supxlabel("Batches", fontsize=8.5)
    style.legend(drawn, [style.shorten(label) for label in lines], styles)
    return drawn


def batches(steps: pd.DataFrame) -> np.ndarray:
    """Batches seen at each recording, which are equally many batches apart.

    The first is in the first epoch, unless an epoch has fewer batches than that.
    """
    return np.arange(1, len(steps) + 1) * int(steps["step"].iloc[0])
