"""The compared rules, vectorised over repetitions: which pairs differ?"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
from error_layouts import Floats
from numpy.typing import NDArray
from scipy import stats

from labmill.stats.layout import SHARED_ALPHA
from labmill.stats.moderation import (
    corrected,
    p_value,
    satterthwaite,
)
from labmill.stats.prior import MOST_PRIOR, fit_prior, moderate, own_share
from labmill.stats.shared_seeds import seed_concordance, shared_seed_freedom

Flags = NDArray[np.bool_]
ALPHA = 0.05


@dataclass(frozen=True)
class Outcome:
    """A rule's result for every pair, (repeats, pairs).

    Attributes:
        shown: whether the corrected test shows a difference.
        own: p of the pair alone; its 95 % interval excludes 0 where p is below 5 %.
    """

    shown: Flags
    own: Floats | None = None


def pairs(k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return first and second index of all pairs."""
    first, second = zip(*combinations(range(k), 2), strict=True)
    return np.array(first), np.array(second)


def differences(values: Floats) -> Floats:
    """Return differences of means, (repeats, pairs)."""
    means, (i, j) = values.mean(-1), pairs(values.shape[1])
    result: Floats = means[:, i] - means[:, j]
    return result


def _residuals(values: Floats) -> Floats:
    centered = values - values.mean(-1, keepdims=True)
    result: Floats = centered - centered.mean(-2, keepdims=True)
    return result


@cache
def _critical(k: int, freedom: int) -> float:
    return float(stats.studentized_range.ppf(1 - ALPHA, k, freedom)) / 2**0.5


def tukey(values: Floats) -> Outcome:
    """Test all pairs with one pooled error, seeds as blocks (Tukey 1949)."""
    k, n = values.shape[1], values.shape[2]
    freedom = (k - 1) * (n - 1)
    variance = (_residuals(values) ** 2).sum((1, 2)) / freedom
    error = np.sqrt(2 * variance / n)[:, None]
    return Outcome(np.abs(differences(values)) > _critical(k, freedom) * error)


def holm(p: Floats) -> Flags:
    """Return which p values Holm's correction rejects, row by row."""
    order = np.argsort(p, axis=1)
    tests = p.shape[1]
    ordered = np.take_along_axis(p, order, 1) * (tests - np.arange(tests))
    rejected = np.empty(p.shape, dtype=bool)
    np.put_along_axis(rejected, order, np.maximum.accumulate(ordered, 1) <= ALPHA, 1)
    return rejected


def _pair_errors(
    variances: Floats, freedom: Floats, n: int, most: float = np.inf
) -> tuple[Floats, Floats]:
    i, j = pairs(variances.shape[1])
    freedom = np.broadcast_to(freedom, variances.shape)
    parts = np.stack([variances[:, i], variances[:, j]], -1) / n
    return satterthwaite(parts, np.stack([freedom[:, i], freedom[:, j]], -1), most)


def _welch(values: Floats) -> tuple[Floats, Floats]:
    n = values.shape[2]
    return _pair_errors(values.var(-1, ddof=1), np.array(n - 1.0), n)


def _paired(values: Floats) -> tuple[Floats, Floats]:
    i, j = pairs(values.shape[1])
    n = values.shape[2]
    squared = (values[:, i] - values[:, j]).var(-1, ddof=1) / n
    return squared, np.full(squared.shape, n - 1.0)


def welch_holm(values: Floats) -> Outcome:
    """Test each pair by Welch's t, corrected by Holm."""
    own = p_value(differences(values), *_welch(values))
    return Outcome(holm(own), own)


def paired_holm(values: Floats) -> Outcome:
    """Test each pair by the paired t, corrected by Holm."""
    own = p_value(differences(values), *_paired(values))
    return Outcome(holm(own), own)


def labmill(
    values: Floats,
    *,
    seeds: str = "auto",
    robust: bool = True,
    hidden: bool = True,
    guard: str = "share",
    most: float = MOST_PRIOR,
) -> Outcome:
    """Test as labmill.stats.contrasts does (checked in tests/stats).

    Args:
        seeds: auto, independent or shared, as in `Layout`.
        robust: whether outlying variances are left out of the prior.
        hidden: whether found outliers strengthen the guard of the others.
        guard: "share" as labmill; "alone": own test at 5 %; "none".
        most: largest weight of the prior, in degrees of freedom.
    """
    if seeds == "auto":
        shared = seed_concordance(values) <= SHARED_ALPHA
        i, _ = pairs(values.shape[1])
        shown = np.empty((len(values), len(i)), dtype=bool)
        p = np.empty(shown.shape)
        for rows, kind in ((shared, "shared"), (~shared, "independent")):
            if rows.any():
                part = labmill(
                    values[rows],
                    seeds=kind,
                    robust=robust,
                    hidden=hidden,
                    guard=guard,
                    most=most,
                )
                shown[rows], p[rows] = part.shown, part.own
        return Outcome(shown, p)
    k, n = values.shape[1], values.shape[2]
    estimate = differences(values)
    if seeds == "shared":
        freedom = np.asarray(shared_seed_freedom(n, k))
        squares = (_residuals(values) ** 2).sum(-1)
        variances = squares * k / ((k - 1) * (n - 1))
        tests = [_pair_errors(variances, freedom, n), _paired(values)]
    else:
        freedom, variances = np.array(n - 1.0), values.var(-1, ddof=1)
        tests = [_welch(values)]
    own = np.max([p_value(estimate, *test) for test in tests], axis=0)
    d0, s0_squared = fit_prior(variances, freedom, robust=robust)
    shrunk, total = moderate(variances, freedom, d0, s0_squared, most=most)
    error = _pair_errors(shrunk, total, n, k * float(freedom))
    moderated = p_value(estimate, *error)
    i, j = pairs(k)
    share = own_share(freedom, d0) if hidden else freedom / (freedom + d0)
    share = np.maximum(share[:, i], share[:, j])
    if guard != "share":
        share = np.zeros_like(share)
    floor = np.zeros_like(own) if guard == "none" else own
    shown = np.zeros(estimate.shape, dtype=bool)
    while True:
        left = np.maximum(len(i) - shown.sum(1, keepdims=True), 1)
        p = (
            corrected(floor, moderated, share, left)
            if guard != "none"
            else (left * moderated)
        )
        more = shown | (p <= ALPHA)
        if (more == shown).all():
            return Outcome(shown, own)
        shown = more


def trial(values: Floats) -> Outcome:
    """Test as the review's trial: seeds removed, plain prior, Holm, own Welch at 5 %."""
    k, n = values.shape[1], values.shape[2]
    freedom = np.array((n - 1) * (k - 1) / k)
    variances = (_residuals(values) ** 2).sum(-1) / freedom
    d0, s0_squared = fit_prior(variances, freedom, robust=False)
    shrunk, total = moderate(variances, freedom, d0, s0_squared, most=np.inf)
    error = _pair_errors(shrunk, total, n)
    estimate = differences(values)
    own = p_value(estimate, *_welch(values))
    return Outcome(holm(p_value(estimate, *error)) & (own <= ALPHA))


METHODS: dict[str, Callable[[Floats], Outcome]] = {
    "labmill": labmill,
    "Tukey": tukey,
    "Welch, Holm": welch_holm,
    "paired t, Holm": paired_holm,
}

ALTERNATIVES: dict[str, Callable[[Floats], Outcome]] = {
    "chosen": labmill,
    "plain prior (Smyth), no search for outliers": lambda x: labmill(x, robust=False),
    "prior of any weight": lambda x: labmill(x, most=np.inf),
    "robust prior, no guard against hidden outliers": lambda x: labmill(
        x, hidden=False
    ),
    "guard: own test at 5 % only": lambda x: labmill(x, guard="alone"),
    "no guard": lambda x: labmill(x, guard="none"),
    "seed effect never removed": lambda x: labmill(x, seeds="independent"),
    "seed effect always removed": lambda x: labmill(x, seeds="shared"),
    "the review's trial": trial,
}
