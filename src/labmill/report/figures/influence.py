"""Is the unit that a criterion would remove first the one that is missed least?"""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.claims.looks import correlation_interval
from labmill.report.results import Results

CAPTION = (
    "Predicted against real influence: one mark per unit, which was removed alone. "
    "Across, how a criterion ranks it (1: would go first); upwards, what validation lost "
    "without it. ρ is Spearman's rank correlation with its 95 % interval; one that holds "
    "0 is not shown to differ from a random order. One seed."
)
ALT = (
    "Scatter plots, a row per layer and a column per criterion: predicted rank of each "
    "unit against what its removal costs."
)

MOST = 6  # rows of panels on a page
# Key of a layer's real influence → words, and how many of its units make one drawn.
REAL = {
    "accuracy_drop": ("Drop of validation accuracy (points)", 100),
    "loss_rise": ("Rise of the validation loss", 1),
}


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
                    for real in REAL:
                        drawn[f"{named}: {real.split('_')[0]}"] = scatter(part, real)
    return drawn or None


def scatter(layers: dict, real: str) -> Figure:
    """A row of panels per layer: its own scale upwards, ranks across."""
    words, scale = REAL[real]
    criteria = list(next(iter(layers.values()))["predicted"])
    drawn = style.figure(1.55 * len(layers) + 0.6)
    panels = drawn.subplots(len(layers), len(criteria), squeeze=False, sharey="row")
    for row, (layer, about) in zip(panels, layers.items(), strict=True):
        rises = scale * np.array(about[real])
        for i, (axes, name) in enumerate(zip(row, criteria, strict=True)):
            ranks = np.argsort(np.argsort(about["predicted"][name])) + 1
            size = 4 if len(ranks) < 30 else 2.5
            axes.plot(ranks, rises, "o", ms=size, color=style.color(i), alpha=0.8)
            axes.axhline(0, lw=0.6, color=style.MUTED)
            said = told(about["rank_correlation"][name][real], len(ranks))
            axes.set_title(f"{name}\n{said}" if axes in panels[0] else said, fontsize=8)
            axes.locator_params(axis="x", nbins=4, integer=True)
            axes.locator_params(axis="y", nbins=4)
        row[0].set_ylabel(style.shorten(layer, 16))
    drawn.supxlabel("Predicted rank of the unit", fontsize=8.5)
    drawn.supylabel(words, fontsize=8.5)
    return drawn


def told(rho: float | None, units: int) -> str:
    """A correlation and its interval."""
    if rho is None:
        return "ρ undefined"
    ends = correlation_interval(rho, units)
    interval = f"\n({ends[0]:.2f} to {ends[1]:.2f})" if ends else ""
    return f"ρ = {rho:.2f}{interval}".replace("-", "−")
