"""What learning curves show, as numbers: oscillation, slope, generalisation gap.

Rows are those of history.csv or batches.csv, values as numbers or as text; empty cells
are left out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import theilslopes

from labmill.errors import LabmillError, suggest

Rows = Sequence[Mapping[str, Any]]


def column(rows: Rows, name: str) -> np.ndarray:
    """One column as floats (n,), NaN where the cell is empty."""
    if rows and name not in rows[0]:
        raise LabmillError(f"curve: no column {name!r}; {suggest(name, rows[0])}")
    cells = [row[name] for row in rows]
    return np.array([math.nan if c in ("", None) else float(c) for c in cells])


def curve(rows: Rows, y: str, x: str = "epoch") -> tuple[np.ndarray, np.ndarray]:
    """Two columns without the rows in which either is empty or not finite."""
    xs, ys = column(rows, x), column(rows, y)
    known = np.isfinite(xs) & np.isfinite(ys)
    return xs[known], ys[known]


def oscillation(values: Sequence[float]) -> float:
    """The share of all movement that is undone again, 0..1.

    1 - |v_n - v_1| / Σ|v_{i+1} - v_i|: 0 for a curve that only falls or only rises, near
    1 for one that swings about a level; 0 for a constant. NaN with fewer than two values.
    """
    v = np.asarray(values, float)
    if len(v) < 2:
        return math.nan
    path = np.abs(np.diff(v)).sum()
    return float(1 - abs(v[-1] - v[0]) / path) if path else 0.0


def swing(values: Sequence[float]) -> float:
    """The size of a curve's jumps about its own course, in the curve's units.

    √(Σ (v_{i+1} - 2 v_i + v_{i-1})² / 6 (n - 2)): the deviation of independent noise on
    a straight line, which second differences remove. NaN with fewer than three values.
    """
    v = np.asarray(values, float)
    if len(v) < 3:
        return math.nan
    return float(np.sqrt(np.mean(np.diff(v, n=2) ** 2) / 6))


@dataclass(frozen=True)
class Slope:
    """Change of y per unit of x, with a 95 % interval."""

    estimate: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """`falls`, `rises`, or `level` where the interval holds 0."""
        if self.high < 0:
            return "falls"
        return "rises" if self.low > 0 else "level"


def slope(
    xs: Sequence[float], ys: Sequence[float], *, last: float | None = None
) -> Slope:
    """The median of the slopes between all pairs of points (Theil, 1950; Sen, 1968).

    `last`: only the last share (0..1) of the points, at least three: is it still
    falling? NaN with fewer than three points.
    """
    x, y = np.asarray(xs, float), np.asarray(ys, float)
    if last is not None:
        first = min(len(x) - 3, len(x) - math.ceil(last * len(x)))
        x, y = x[max(0, first) :], y[max(0, first) :]
    if len(x) < 3:
        return Slope(math.nan, math.nan, math.nan)
    estimate, _, low, high = theilslopes(y, x, alpha=0.95)
    return Slope(float(estimate), float(low), float(high))


@dataclass(frozen=True)
class Gap:
    """How much worse a network is on images that it was not trained on.

    loss: validation less training loss in the last epoch; accuracy: training less
    validation accuracy there; best_epoch: the epoch of the lowest validation loss;
    rise: how far the validation loss has risen since.
    """

    loss: float
    accuracy: float
    best_epoch: int
    rise: float

    @property
    def overfits(self) -> bool:
        """Validation loss rose while training loss is the lower: the usual sign."""
        return self.rise > 0 and self.loss > 0


def generalisation_gap(rows: Rows) -> Gap | None:
    """The gap after the last validated epoch; None where nothing was validated."""
    known = [
        r
        for r, v in zip(rows, column(rows, "validation_loss"), strict=True)
        if math.isfinite(v)
    ]
    if not known:
        return None
    losses = column(known, "validation_loss")
    best = int(np.argmin(losses))
    last = {name: column(known[-1:], name)[0] for name in FIGURES}
    return Gap(
        loss=float(last["validation_loss"] - last["train_loss"]),
        accuracy=float(last["train_accuracy"] - last["validation_accuracy"]),
        best_epoch=int(column(known, "epoch")[best]),
        rise=float(losses[-1] - losses[best]),
    )


FIGURES = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
