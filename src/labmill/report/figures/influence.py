"""Is the unit that a criterion would remove first the one that is missed least?"""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import Results

CAPTION = (
    "Predicted against real influence: one mark per unit, which was removed alone. "
    "Across, how a criterion ranks it (1: would go first); upwards, how much the "
    "validation loss rose without it. ρ is Spearman's rank correlation."
)
ALT = (
    "Scatter plots, a row per layer and a column per criterion: predicted rank of each "
    "unit against the rise of the loss when it is removed."
)

MOST = 6  # rows of panels on a page


def draw(results: Results) -> dict[str, Figure] | None:
    """A figure per network and six of its layers."""
    asked = results.study.get("influence") or {"variants": ()}
    drawn = {}
    for variant in asked["variants"]:
        for record in results.stages(variant)[:1]:
            if about := results.open(record, "influence"):
                layers = list(about["layers"].items())
                for start in range(0, len(layers), MOST):
                    part = dict(layers[start : start + MOST])
                    named = f"{results.label(variant)}, {', '.join(part)}"
                    drawn[named] = scatter(part)
    return drawn or None


def scatter(layers: dict) -> Figure:
    """A row of panels per layer: its own scale upwards, ranks across."""
    criteria = list(next(iter(layers.values()))["predicted"])
    drawn = style.figure(1.35 * len(layers) + 0.5)
    panels = drawn.subplots(len(layers), len(criteria), squeeze=False, sharey="row")
    for row, (layer, about) in zip(panels, layers.items(), strict=True):
        rises = np.array(about["loss_rise"])
        for i, (axes, name) in enumerate(zip(row, criteria, strict=True)):
            ranks = np.argsort(np.argsort(about["predicted"][name])) + 1
            size = 4 if len(ranks) < 30 else 2.5
            axes.plot(ranks, rises, "o", ms=size, color=style.color(i), alpha=0.8)
            axes.axhline(0, lw=0.6, color=style.MUTED)
            rho = about["rank_correlation"][name]["loss_rise"]
            said = "ρ undefined" if rho is None else f"ρ = {rho:.2f}".replace("-", "−")
            axes.set_title(f"{name}, {said}" if axes in panels[0] else said)
            axes.locator_params(axis="x", nbins=4, integer=True)
            axes.locator_params(axis="y", nbins=4)
        row[0].set_ylabel(style.shorten(layer, 16))
    drawn.supxlabel("Predicted rank of the unit", fontsize=8.5)
    drawn.supylabel("Rise of the validation loss", fontsize=8.5)
    return drawn
