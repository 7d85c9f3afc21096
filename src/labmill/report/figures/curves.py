"""Accuracy over the epochs, a panel per variant."""

import math
from collections.abc import Iterable
from statistics import median

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labmill.report import charts, style
from labmill.report.results import Results

CAPTION = (
    "Accuracy over the epochs, one line per seed: training solid, validation dashed."
)
ALT = (
    "Line charts, one panel per variant: training accuracy as solid and validation "
    "accuracy as dashed lines over the epochs, one thin line per seed."
)

PANELS = 9


def draw(results: Results) -> list[Figure] | None:
    """Small multiples with shared axes."""
    return multiples(results, "accuracy", "Accuracy (%)", 100)


def chart(results: Results) -> list[object]:
    """The variants of each figure in one chart; the legend chooses."""
    return [
        charts.curves(
            results,
            {i: variant for i, variant, _ in part},
            "accuracy",
            "Accuracy",
            percent=True,
        )
        for part in parts(results)
    ]


def parts(results: Results) -> list[list[tuple[int, str, list[pd.DataFrame]]]]:
    """Place, name and histories of the variants that have any, so many a figure."""
    found = [
        (
            i,
            variant,
            [h for r in results.stages(variant) if len(h := results.history(r))],
        )
        for i, variant in enumerate(results.variants)
    ]
    found = [one for one in found if one[2]]
    return [found[start : start + PANELS] for start in range(0, len(found), PANELS)]


def multiples(
    results: Results, figure: str, name: str, scale: float
) -> list[Figure] | None:
    """Curves of `train_<figure>` and `validation_<figure>`, a panel per variant."""
    figures = parts(results)
    top = None
    if figure == "loss":
        top = highest(
            h[f"{part}_loss"].quantile(0.9)
            for shown in figures
            for _, _, histories in shown
            for h in histories
            for part in ("train", "validation")
        )
    drawings = []
    for part in figures:
        drawn, panels = style.grid(len(part), sharex=True, sharey=True)
        for axes, (i, variant, histories) in zip(panels, part, strict=True):
            panel(axes, histories, figure, scale, style.color(i))
            axes.set_title(style.shorten(results.label(variant), 30))
        # After the last curve: a limit set earlier would hold for the first panel's.
        panels[0].set_ylim(bottom=0, top=top)
        drawn.supxlabel("Epoch", fontsize=8.5)
        drawn.supylabel(name, fontsize=8.5)
        styles = [
            {"color": style.MUTED, "ls": "-"},
            {"color": style.MUTED, "ls": (0, (3, 1.5))},
        ]
        style.legend(drawn, ["training", "validation"], styles)
        drawings.append(drawn)
    return drawings or None


def highest(ends: Iterable[float]) -> float | None:
    """Where the axis of the losses ends: a run that explodes must not flatten the rest."""
    known = [end for end in ends if not math.isnan(end)]
    return min(1.15 * max(known), 3 * median(known)) if known else None


def panel(
    axes: Axes, histories: list[pd.DataFrame], figure: str, scale: float, color: str
) -> None:
    """One variant's seeds."""
    single = max(len(h) for h in histories) == 1
    for history in histories:
        for part, dashes in (("train", "-"), ("validation", (0, (3, 1.5)))):
            values = pd.to_numeric(history[f"{part}_{figure}"], errors="coerce")
            known = values.notna()
            axes.plot(
                history["epoch"][known],
                values[known] * scale,
                ls=dashes,
                lw=1.1,
                color=color,
                alpha=0.85,
                marker=("o" if part == "train" else "x") if single else None,
            )
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
