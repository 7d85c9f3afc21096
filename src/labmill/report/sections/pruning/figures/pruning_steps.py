"""What each prune step costs, and what fine-tuning wins back."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.runs import made_by_all
from labmill.report.text import spaced

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


def draw(results: StudyResults) -> Figure | None:
    """Draw a panel per loop and variant."""
    loops = {
        f"{results.label(variant)}, {spaced(loop)}": steps
        for loop, variants in results.pruned.items()
        for variant, steps in variants.items()
    }
    if not loops:
        return None
    drawn, panels = style.grid(len(loops), columns=2, height=2.4)
    looks: list[style.Look] = [
        {"color": style.color(i), "marker": style.MARKERS[i]} for i in range(3)
    ]
    drawn.supylabel("Validation accuracy (%)")
    for axes, (name, steps) in zip(panels, loops.items(), strict=True):
        for look, column in zip(looks, LINES, strict=True):
            by_step: dict[int, dict[int, float]] = {}
            for seed, made in steps:
                by_step.setdefault(made.step, {})[seed] = 100 * getattr(made, column)
            for seed in {step.seed for step in steps}:
                own = {step: by[seed] for step, by in by_step.items() if seed in by}
                thin: style.Look = {"lw": 0.6, "alpha": 0.5, "color": look["color"]}
                axes.plot(list(own), list(own.values()), **thin)
            kept = made_by_all(by_step)
            means = [np.mean(list(by_step[step].values())) for step in kept]
            marks = axes.plot(kept, means, ms=4, **look)
            style.note(
                marks, f"{LINES[column]}: {', '.join(f'{m:.1f}' for m in means)} %"
            )
        axes.set_title(style.label(name, 40))
        axes.set_xlabel("Step")
        style.epochs(axes)
        style.guessing(axes, results.guessing)
    style.legend(drawn, list(LINES.values()), looks)
    return drawn
