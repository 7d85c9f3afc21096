"""Accuracy over the epochs, a panel per variant."""

import math
from collections.abc import Iterable
from statistics import median

from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.number_format import percent
from labmill.report.results import StudyResults
from labmill.report.sections.curves.epochs import LOOKS, METRICS, PARTS, lines, trained

CAPTION = (
    "Accuracy over the epochs, one line per seed: training solid, validation dashed."
)
ALT = (
    "Line charts, one panel per variant: training accuracy as solid and validation "
    "accuracy as dashed lines over the epochs, one thin line per seed."
)
PANELS = 9
FEW = 2


def caption(results: StudyResults) -> str:
    """Return the range of accuracies at the end, and what is drawn."""
    ends = {
        part: [m.estimate for v in results.variants if (m := results.mean(v, part))]
        for part in ("train_accuracy", "validation_accuracy")
    }
    if not all(ends.values()):
        return CAPTION
    train, validation = (
        " to ".join(dict.fromkeys(percent(end(values)) for end in (min, max)))
        for values in ends.values()
    )
    return (
        f"Training ends at {train} accuracy on training and {validation} on validation "
        f"{results.things}. {CAPTION}"
    )


def draw(results: StudyResults) -> list[Figure]:
    """Draw small multiples with shared axes."""
    return multiples(results, "accuracy")


def multiples(results: StudyResults, metric: str) -> list[Figure]:
    """Draw training and validation, a panel per variant, so many a figure."""
    found = list(enumerate(trained(results).items()))
    longest = max((len(one) for _, (_, of) in found for one in of), default=0)
    if longest <= FEW:  # a table has these numbers
        return []
    top = None
    if metric == "loss":
        top = highest(
            float(history[f"{part}_loss"].quantile(0.9))
            for _, (_, histories) in found
            for history in histories
            for part in PARTS
        )
    figures = []
    for start in range(0, len(found), PANELS):
        part = found[start : start + PANELS]
        drawn, panels = style.grid(len(part), sharex=True, sharey=True)
        for axes, (i, (name, histories)) in zip(panels, part, strict=True):
            lines(axes, histories, metric, i, name)
            axes.set_title(style.label(name, 28, lines=2))
        # After the last curve: a limit set earlier would hold for the first panel's.
        panels[0].set_ylim(bottom=0, top=top)
        if metric == "accuracy":
            for axes in panels:
                style.guessing(axes, results.guessing)
        drawn.supxlabel("Epoch")
        drawn.supylabel(METRICS[metric][0])
        style.legend(drawn, [*PARTS.values()], LOOKS)
        figures.append(drawn)
    return figures


def highest(ends: Iterable[float]) -> float | None:
    """Return the end of the axis of losses: an exploding run must not flatten the rest."""
    known = [end for end in ends if not math.isnan(end)]
    return min(1.15 * max(known), 3 * median(known)) if known else None
