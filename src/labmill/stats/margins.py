"""Verdicts against a margin of practical importance, and the seeds that would decide."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import special, stats

from labmill.stats.prior import Floats

# One point of accuracy: the default smallest difference of practical importance.
MARGIN = 0.01
MOST_SEEDS = 1000


class Verdict(StrEnum):
    """The four answers to "is it higher?"."""

    HIGHER = "higher"
    LOWER = "lower"
    PRACTICALLY_EQUAL = "practically equal"
    UNDECIDED = "undecided"


def verdict(
    low: float | None, high: float | None, *, margin: float, shown: bool
) -> Verdict:
    """Give the verdict of an interval and its test.

    Inside ±margin the verdict is "practically equal", also where a difference is shown:
    it is then known to be too small to matter (two one-sided tests; Schuirmann 1987).
    Otherwise "higher" or "lower" if the corrected test shows it.

    Args:
        low: lower end of the interval that matches the corrected test, None without.
        high: its upper end.
        margin: smallest difference of practical importance, in the values' unit.
        shown: whether the corrected test shows a difference.
    """
    if low is None or high is None:
        return Verdict.UNDECIDED
    if -margin < low and high < margin:
        return Verdict.PRACTICALLY_EQUAL
    if not shown:
        return Verdict.UNDECIDED
    return Verdict.HIGHER if low + high > 0 else Verdict.LOWER


def seeds_to_decide(
    estimate: float,
    *,
    error: float,
    freedom: float,
    n: int,
    margin: float,
    alpha: float = 0.05,
    power: float = 0.8,
    constant: float = 0.0,
    most: int = MOST_SEEDS,
) -> int | None:
    """Return about how many seeds would decide a contrast, or None above `most`.

    The true difference is taken to be as large as seen, the spread as seen. A contrast
    is decided if its interval excludes 0 or lies within ±margin.

    Args:
        estimate: the difference seen.
        error: of the contrast with `n` seeds per variant.
        freedom: its degrees of freedom.
        n: seeds per variant.
        margin: smallest difference of practical importance.
        alpha: level of the test, already divided by the number of comparisons.
        power: wanted probability of a decision.
        constant: squared error that more seeds do not reduce (test images).
        most: seeds per variant that are considered.
    """
    if error <= 0:
        return None
    size = np.unique(np.geomspace(n + 1, most, 200).astype(int))
    size = size[size > n]
    squared = error**2 * n / size + constant
    df = freedom * (size - 1) / max(n - 1, 1)
    chance = _decided(estimate, np.sqrt(squared), df, margin=margin, alpha=alpha)
    enough = np.flatnonzero(chance >= power)
    return int(size[enough[0]]) if len(enough) else None


def _decided(
    estimate: float, error: Floats, df: Floats, *, margin: float, alpha: float
) -> Floats:
    """Return the probability of "excludes 0 or lies within ±margin", normal error."""
    half = stats.t.isf(alpha / 2, df) * error
    inside = np.maximum(margin - half, 0.0)

    def beyond(limit: Floats) -> Floats:
        upper: Floats = special.ndtr((estimate - limit) / error)
        lower: Floats = special.ndtr((-limit - estimate) / error)
        return upper + lower

    result: Floats = np.where(half < inside, 1.0, beyond(half) + 1 - beyond(inside))
    return result


@dataclass(frozen=True, kw_only=True)
class NonInferiority:
    """A test that a change costs at most a margin.

    Attributes:
        lower: one-sided lower limit of the difference, changed minus original.
        p: one-sided, of "the change costs the margin or more".
        accepted: whether the lower limit is above −margin.
        power: probability of acceptance if the change has no effect.
        seeds: about how many seeds per variant give `power` 80 %; None above 1000.
    """

    estimate: float
    lower: float
    p: float
    accepted: bool
    power: float
    seeds: int | None


def non_inferiority(
    estimate: float,
    *,
    error: float,
    freedom: float,
    n: int,
    margin: float = MARGIN,
    alpha: float = 0.05,
    comparisons: int = 1,
) -> NonInferiority:
    """Test whether a change is at most `margin` worse.

    Args:
        estimate: changed minus original.
        error: of the estimate with n seeds per variant (a comparison's own).
        freedom: its degrees of freedom.
        n: seeds per variant.
        margin: largest loss that is accepted.
        alpha: level of the test.
        comparisons: number of changes tried; alpha is divided by it (Bonferroni).

    Raises:
        ValueError: If the error is not positive: without spread there is no test.
    """
    if error <= 0:
        raise ValueError(f"non_inferiority: error {error}; it must be positive")
    level = alpha / comparisons
    lower = estimate - float(stats.t.isf(level, freedom)) * error

    def chance(size: int) -> float:
        df = freedom * (size - 1) / max(n - 1, 1)
        shift = margin / (error * (n / size) ** 0.5)
        critical = float(stats.t.isf(level, df))
        exact = float(stats.nct.sf(critical, df, shift))
        # SciPy's noncentral t can fail far from its centre; there it is normal.
        return exact if np.isfinite(exact) else float(stats.norm.sf(critical - shift))

    seeds = None
    if chance(MOST_SEEDS) >= 0.8:
        below, enough = 1, MOST_SEEDS
        while enough - below > 1:
            middle = (below + enough) // 2
            if middle > 1 and chance(middle) >= 0.8:
                enough = middle
            else:
                below = middle
        seeds = enough
    return NonInferiority(
        estimate=estimate,
        lower=lower,
        p=float(stats.t.sf((estimate + margin) / error, freedom)),
        accepted=lower > -margin,
        power=chance(n),
        seeds=seeds,
    )
