"""Single runs: a published value, and networks that learned nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

# A run within this share of the way from guessing to 100 % counts as guessing.
NEAR_GUESSING = 0.05
# How sure guessing must be excluded where test images are few.
GUESSING_ALPHA = 0.001
# A class counts as predicted from this share of the images that it would get by equal
# shares.
FAIR_SHARE = 0.05


@dataclass(frozen=True, kw_only=True)
class PublishedComparison:
    """Mean of n runs minus one published value.

    `low`, `high`, `p`: None where the runs have no spread, or are fewer than two.
    """

    n: int
    estimate: float
    low: float | None
    high: float | None
    p: float | None


def against_published(
    values: Sequence[float], published: float, *, level: float = 0.95
) -> PublishedComparison:
    """Compare n runs with one published run of unknown spread.

    The published run is taken to scatter as ours do: the error of the difference is
    s √(1 + 1/n), t has n − 1 degrees of freedom (prediction interval of one new value;
    Hahn and Meeker 1991, section 4.7).
    """
    runs = np.asarray(values, dtype=np.float64)
    n, estimate = len(runs), float(runs.mean() - published)
    sd = float(runs.std(ddof=1)) if n > 1 else 0.0
    if sd <= 1e-10 * float(np.abs(runs).max()):
        return PublishedComparison(n=n, estimate=estimate, low=None, high=None, p=None)
    error = sd * (1 + 1 / n) ** 0.5
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * error
    return PublishedComparison(
        n=n,
        estimate=estimate,
        low=estimate - half,
        high=estimate + half,
        p=2 * float(stats.t.sf(abs(estimate) / error, n - 1)),
    )


class Untrained(StrEnum):
    """Why a run counts as untrained."""

    GUESSING = "accuracy near guessing"
    FEW_CLASSES = "few classes predicted"


@dataclass(frozen=True, kw_only=True)
class RunCheck:
    """Whether one run learned anything.

    Attributes:
        untrained: the reason, or None for a trained run.
        accuracy: share of right answers.
        guessing: accuracy of the best constant answer.
        bound: an accuracy up to this counts as guessing.
        predicted: number of classes predicted more than now and then.
        classes: number of classes.
    """

    untrained: Untrained | None
    accuracy: float
    guessing: float
    bound: float
    predicted: int
    classes: int


def untrained(confusion: ArrayLike) -> RunCheck:
    """Check one run for accuracy near guessing and for classes never predicted.

    Accuracy is near guessing if guessing reaches it with probability above 0.1 %
    (binomial), or if it is within 5 % of the way from guessing to 100 %. Few classes
    are predicted if less than half of them (of two classes: one) get at least 5 % of
    an equal share of the images.

    Args:
        confusion: counts (classes, classes), true class by row, answer by column.

    Raises:
        ValueError: If the matrix is not square or empty.
    """
    counts = np.asarray(confusion)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.sum() < 1:
        raise ValueError(
            f"untrained: expected a square matrix of counts; found {counts.shape}"
        )
    classes, images = len(counts), int(counts.sum())
    accuracy = float(np.trace(counts) / images)
    guessing = max(1 / classes, float(counts.sum(axis=1).max() / images))
    chance = float(stats.binom.ppf(1 - GUESSING_ALPHA, images, guessing)) / images
    bound = max(chance, guessing + NEAR_GUESSING * (1 - guessing))
    fair = FAIR_SHARE * images / classes
    predicted = int((counts.sum(axis=0) >= max(1.0, fair)).sum())
    reason = None
    if predicted < classes / 2 or predicted < min(classes, 2):
        reason = Untrained.FEW_CLASSES
    if accuracy <= bound:
        reason = Untrained.GUESSING
    return RunCheck(
        untrained=reason,
        accuracy=accuracy,
        guessing=guessing,
        bound=bound,
        predicted=predicted,
        classes=classes,
    )
