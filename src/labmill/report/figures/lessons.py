"""Curves that teach: runs that go wrong on purpose, each beside the one that does not."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import Results

CAPTION = (
    "Curves that teach: the loss of training batches as recorded (thin), its mean over "
    "an epoch (solid) and the validation loss (dashed); in grey the training loss of the "
    "run whose settings are as they should be. One seed each."
)
ALT = (
    "Small line charts, one per run with a wrong setting: batch loss, training loss and "
    "validation loss over the epochs, beside those of a sound run."
)


def draw(results: Results) -> Figure | None:
    """A panel per lesson; losses of single batches may leave the frame."""
    lessons = results.study.get("lessons")
    if not lessons:
        return None
    sound = curves(results, lessons["reference"])
    found = {v: c for v in lessons["variants"] if (c := curves(results, v))}
    if not found:
        return None
    drawn, panels = style.grid(len(found), columns=2, height=1.75)
    for i, (axes, (variant, own)) in enumerate(zip(panels, found.items(), strict=True)):
        if sound:
            axes.plot(*sound["train"], color=style.MUTED, lw=1, alpha=0.8)
        panel(axes, own, style.color(i))
        axes.set_title(style.shorten(results.label(variant), 40))
        axes.tick_params(labelbottom=True, labelleft=True)
    drawn.supxlabel("Epoch", fontsize=8.5)
    drawn.supylabel("Loss", fontsize=8.5)
    ink = style.INK
    styles = [
        {"color": ink, "lw": 0.5, "alpha": 0.6},
        {"color": ink, "lw": 1.3},
        {"color": ink, "lw": 1.3, "ls": (0, (3, 1.5))},
        {"color": style.MUTED, "lw": 1},
    ]
    names = ["batches", "training", "validation", "as it should be"]
    style.legend(drawn, names, styles)
    return drawn


def panel(axes: Axes, own: dict[str, Any], color: str) -> None:
    """One run."""
    axes.plot(*own["batches"], color=color, lw=0.5, alpha=0.45)
    alone = len(own["train"][0]) == 1
    look = {"color": color, "lw": 1.3}
    axes.plot(*own["train"], marker="o" if alone else None, **look)
    dashed = {"ls": (0, (3, 1.5)), "marker": "x" if alone else None}
    axes.plot(*own["validation"], **look, **dashed)
    seen = np.concatenate([own[name][1] for name in ("train", "validation")])
    seen = seen[np.isfinite(seen)]
    if len(seen):
        axes.set_ylim(0, 1.05 * float(seen.max()))
    axes.xaxis.get_major_locator().set_params(integer=True)


def curves(results: Results, variant: str) -> dict[str, Any] | None:
    """`batches`, `train`, `validation` of a variant's first run: epochs and losses."""
    for record in results.stages(variant)[:1]:
        epochs = results.history(record)
        batches = results.history(record, "batches")
        if epochs.empty:
            return None
        at = epochs["epoch"].to_numpy(float)
        known = {
            name: pd.to_numeric(epochs[f"{name}_loss"], errors="coerce").to_numpy()
            for name in ("train", "validation")
        }
        found = {name: (at, values) for name, values in known.items()}
        if len(batches):
            whole = batches["images"].max() / batches["epoch"].max()
            found["batches"] = (
                (batches["images"] / whole).to_numpy(),
                pd.to_numeric(batches["loss"], errors="coerce").to_numpy(),
            )
        else:
            found["batches"] = found["train"]
        return found
    return None
