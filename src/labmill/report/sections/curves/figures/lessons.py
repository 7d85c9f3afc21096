"""Demonstrations: runs that go wrong on purpose, each compared with the sound one."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.runs import Run
from labmill.report.sections.curves.epochs import lines

CAPTION = (
    "Curves that teach: the loss of training batches as recorded (thin), its mean over "
    "an epoch (solid) and the validation loss (dashed); in grey the training loss of the "
    "run whose settings are as they should be. One seed each."
)
ALT = (
    "Small line charts, one per run with a wrong setting: batch loss, training loss and "
    "validation loss over the epochs, with those of a sound run."
)


def draw(results: StudyResults) -> Figure | None:
    """Draw a panel per demonstration; losses of single batches may leave the frame."""
    lessons = results.study.get("lessons")
    runs = {
        v: run
        for v in results.demonstrations
        for run in results.stages(v)[:1]
        if len(run.rows())
    }
    if not lessons or not runs:
        return None
    drawn, panels = style.grid(len(runs), columns=2, height=1.75)
    for i, (axes, run) in enumerate(zip(panels, runs.values(), strict=True)):
        for sound in results.stages(lessons["reference"])[:1]:
            epochs = sound.rows()
            axes.plot(epochs["epoch"], epochs["train_loss"], color=style.MUTED, lw=1)
        axes.plot(*batches(run), color=style.color(i), lw=0.5, alpha=0.45)
        lines(axes, [run.rows()], "loss", i, run.label)
        ends = run.rows()[["train_loss", "validation_loss"]].to_numpy(float)
        if np.isfinite(ends).any():
            axes.set_ylim(0, 1.05 * ends[np.isfinite(ends)].max())
        axes.set_title(style.label(run.label, 40))
    drawn.supxlabel("Epoch")
    drawn.supylabel("Loss")
    looks = [
        {"color": style.INK, "lw": 0.5, "alpha": 0.6},
        {"color": style.INK, "lw": 1.3},
        {"color": style.INK, "lw": 1.3, "ls": style.DASHED},
        {"color": style.MUTED, "lw": 1},
    ]
    names = ["batches", "training", "validation", "as it should be"]
    style.legend(drawn, names, looks)
    return drawn


def batches(run: Run) -> tuple[pd.Series, pd.Series] | tuple[()]:
    """Return epochs and losses of the recorded batches."""
    found = run.rows("batches")
    if found.empty:
        return ()
    whole = found["images"].max() / found["epoch"].max()
    return found["images"] / whole, pd.to_numeric(found["loss"], errors="coerce")
