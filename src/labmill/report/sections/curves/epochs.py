"""Curves over the epochs: training solid, validation dashed, one line per run."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import StudyResults

PARTS = {"train": "training", "validation": "validation"}
# Metric → title and factor.
METRICS = {"loss": ("Loss", 1), "accuracy": ("Accuracy (%)", 100)}
LOOKS: list[style.Look] = [
    {"color": style.MUTED},
    {"color": style.MUTED, "ls": style.DASHED},
]
Curves = Mapping[str, Sequence[pd.DataFrame]]


def trained(results: StudyResults) -> dict[str, list[pd.DataFrame]]:
    """Return label → epochs of its runs, of the variants that have any."""
    found = {
        label: [rows for run in results.stages(variant) if len(rows := run.rows())]
        for variant, label in results.variants.items()
    }
    return {label: histories for label, histories in found.items() if histories}


def lines(
    axes: Axes, histories: Iterable[pd.DataFrame], metric: str, index: int, of: str
) -> None:
    """Draw training and validation of one variant, the i-th, for all its runs."""
    _, factor = METRICS[metric]
    for history in histories:
        for part, word in PARTS.items():
            column = history.set_index("epoch")[f"{part}_{metric}"]
            values = factor * pd.to_numeric(column, errors="coerce").dropna()
            single = "o" if part == "train" else "x"
            drawn = axes.plot(
                values.index,
                values,
                ls="-" if part == "train" else style.DASHED,
                lw=1.2,
                color=style.color(index),
                alpha=0.85,
                marker=single if len(values) == 1 else None,
            )
            if len(values):
                end = f"{values.iloc[-1]:.3g} after epoch {values.index[-1]}"
                style.note(drawn, f"{of}, {word}: {end}", of=of)
    style.epochs(axes)


def side_by_side(found: Curves, chance: float | None) -> Figure | None:
    """Draw loss and accuracy in two panels, a colour per name."""
    if not found:
        return None
    drawn, panels = style.grid(2, columns=2, height=2.5)
    for axes, (metric, (title, _)) in zip(panels, METRICS.items(), strict=True):
        for i, (name, histories) in enumerate(found.items()):
            lines(axes, histories, metric, i, name)
        axes.set_xlabel("Epoch")
        axes.set_title(title)
        axes.set_ylim(bottom=0)
    style.guessing(panels[1], chance)
    looks = [{"color": style.color(i)} for i in range(len(found))]
    style.legend(drawn, [*found, *PARTS.values()], [*looks, *LOOKS])
    return drawn
