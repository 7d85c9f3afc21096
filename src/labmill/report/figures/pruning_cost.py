"""Accuracy of every pruned network against its operations."""

import pandas as pd
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.figures.cost import logarithmic
from labmill.report.results import Results
from labmill.search.pareto import front

CAPTION = (
    "Validation accuracy after fine-tuning against multiply–adds, for every pruned "
    "network; the line joins those that no other beats in both."
)
ALT = "Scatter plot of accuracy against multiply-adds with the Pareto front."


def draw(results: Results) -> Figure | None:
    """One panel; a colour per loop and variant."""
    loops = {
        f"{results.label(variant)}, {loop}": pd.DataFrame(steps)
        for loop, variants in results.pruned.items()
        for variant, steps in variants.items()
    }
    if not loops:
        return None
    drawn = style.figure(2.9)
    axes = drawn.subplots()
    styles = []
    for i, steps in enumerate(loops.values()):
        look = {
            "color": style.color(i),
            "marker": style.MARKERS[i % len(style.MARKERS)],
            "ls": "none",
        }
        axes.plot(steps["macs"], 100 * steps["finetuned"], ms=4.5, alpha=0.9, **look)
        styles.append(look)
    points = pd.concat(loops.values()).sort_values("macs")
    best = points[front(points["macs"].to_numpy(), points["finetuned"].to_numpy())]
    axes.plot(best["macs"], 100 * best["finetuned"], lw=1, color=style.MUTED, zorder=1)
    logarithmic(axes)
    axes.set_xlabel("Multiply–adds per image")
    axes.set_ylabel("Validation accuracy (%)")
    style.legend(drawn, [style.shorten(name, 40) for name in loops], styles, columns=2)
    return drawn
