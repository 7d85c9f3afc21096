"""Numbers from learning curves: oscillation, generalisation gap.

Rows are those of history.csv or batches.csv, values as numbers or as text; empty cells
are left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labmill.core.errors import LabmillError, suggest
from labmill.core.trees import JsonObject

Rows = Sequence[JsonObject]


def column(rows: Rows, name: str) -> np.ndarray:
    """Return one column as floats (n,), NaN where the cell is empty."""
    if rows and name not in rows[0]:
        raise LabmillError(f"curve: no column {name!r}; {suggest(name, rows[0])}")
    cells = [row[name] for row in rows]
    return np.array([math.nan if c in ("", None) else float(c) for c in cells])


def curve(rows: Rows, y: str, x: str = "epoch") -> tuple[np.ndarray, np.ndarray]:
    """Return two columns without rows in which either is empty or not finite."""
    xs, ys = column(rows, x), column(rows, y)
    known = np.isfinite(xs) & np.isfinite(ys)
    return xs[known], ys[known]


def oscillation(values: Sequence[float]) -> float:
    """Return the share of all movement that is undone again, 0..1.

    1 - |v_n - v_1| / Σ|v_{i+1} - v_i|: 0 for a curve that only falls or only rises, near
    1 for one that swings about a level; 0 for a constant. NaN with fewer than two values.
    """
    v = np.asarray(values, float)
    if len(v) < 2:
        return math.nan
    path = np.abs(np.diff(v)).sum()
    return float(1 - abs(v[-1] - v[0]) / path) if path else 0.0


# A validation loss has risen again from that multiple of its minimum.
RISE = 1.1


@dataclass(frozen=True)
class Gap:
    """A run's losses at its least validation loss, and at its end."""

    best_epoch: int  # of the least validation loss
    last_epoch: int  # of the end
    least: float  # validation loss at `best_epoch`, `end` at `last_epoch`
    end: float
    train_then: float  # training loss at `best_epoch`, `train_end` at `last_epoch`
    train_end: float

    @property
    def rise(self) -> float:
        """Return how far the validation loss has risen since its minimum."""
        return self.end - self.least

    @property
    def rose(self) -> bool:
        """Return True if it ended a tenth or more above its minimum."""
        return self.end >= RISE * self.least


def generalisation_gap(rows: Rows) -> Gap | None:
    """Return the gap over epochs with finite losses; None if there are none."""
    names = ("epoch", "validation_loss", "train_loss")
    known = np.stack([column(rows, name) for name in names])
    known = known[:, np.isfinite(known).all(axis=0)]
    if not known.size:
        return None
    best = int(known[1].argmin())
    return Gap(
        best_epoch=int(known[0, best]),
        last_epoch=int(known[0, -1]),
        least=float(known[1, best]),
        end=float(known[1, -1]),
        train_then=float(known[2, best]),
        train_end=float(known[2, -1]),
    )
