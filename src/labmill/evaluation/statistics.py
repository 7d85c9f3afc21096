"""What results can show: intervals, paired tests and the words for their outcome.

Two kinds of sample, never mixed. Over **seeds** a statement is about a recipe: would it
come out like this again? Over test **images** it is about two networks that were
trained once. Everything is deterministic.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import brentq

from labmill.errors import LabmillError
from labmill.randomness import numpy_generator

EXACT_SEEDS = 16  # 2^16 sign patterns; above, RESAMPLES random ones
RESAMPLES = 99_999
EXACT_RANKS = 8  # 8! orders; above, the t approximation
LEAST_SEEDS = 3  # two leave one degree of freedom, one leaves none
ROUNDING = 1e-10  # of the largest value: a spread below is no spread
PAIRED_T, SIGN_FLIP = "paired t-test", "sign-flip test"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value with its interval; `low` and `high` are None where there is none."""

    n: int
    estimate: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Mean(Estimate):
    """A mean over seeds; `sd` is the sample standard deviation (None for one seed)."""

    sd: float | None


@dataclass(frozen=True, kw_only=True)
class SeedComparison(Mean):
    """Mean of first minus second over seeds.

    `p`: two-sided, of the `test` that was made (None for one seed). `sign_flip_p`: the
    permutation test beside it, `exact` when all sign patterns were tried.
    """

    test: str
    p: float | None
    sign_flip_p: float
    exact: bool


@dataclass(frozen=True, kw_only=True)
class ImageComparison(Estimate):
    """Accuracy of first minus second on the same images.

    `only_first`, `only_second`: images that one of the two alone gets right.
    """

    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True, kw_only=True)
class RankCorrelation:
    """Spearman's correlation; None where a variable is constant."""

    n: int
    estimate: float | None
    low: float | None
    high: float | None
    p: float | None
    exact: bool


class Verdict(StrEnum):
    """The only words for the outcome of a test."""

    HIGHER = "higher"
    LOWER = "lower"
    NOT_SHOWN = "no difference shown"
    TOO_FEW = "too few seeds"


def mean_over_seeds(
    values: ArrayLike, *, level: float = 0.95, share: bool = False
) -> Mean:
    """Mean, standard deviation and t-interval of one value per seed.

    No interval where all values are equal: they do not tell how much others would
    differ. `share`: the values are shares of 1, and so are the interval's ends. In
    simulation it covers 94 % or more of normal values and of shares of 1,000 images up
    to a true share of 99.9 %; of exponential distances from a ceiling, 88 % (40,000
    repeats at n = 3, 5 and 10; the repeats without an interval left out).
    """
    values = _sample(values)
    n, mean = len(values), float(values.mean())
    if n == 1:
        return Mean(n=n, estimate=mean, low=None, high=None, sd=None)
    sd = float(values.std(ddof=1))
    if sd <= ROUNDING * float(np.abs(values).max()):
        return Mean(n=n, estimate=mean, low=None, high=None, sd=0.0)
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * sd / n**0.5
    low, high = mean - half, mean + half
    if share:
        low, high = max(0.0, low), min(1.0, high)
    return Mean(n=n, estimate=mean, low=low, high=high, sd=sd)


def paired_seeds(
    first: ArrayLike, second: ArrayLike, *, level: float = 0.95
) -> SeedComparison:
    """Compare two variants run with the same seeds, given in the same order.

    The interval is the paired t-interval. Between two variants with equally shaped
    noise (normal, uniform, Laplace, exponential, binomial) it covers 94.5 % or more at
    n = 3..10 in simulation; where only one varies and that exponentially, 88 %. A
    percentile bootstrap covers 75 % at n = 3 and 90 % at n = 10 of normal differences,
    so labmill uses none here. Where all differences are equal the t-test has no spread
    to go by: there is no interval, and `p` is the sign-flip p.
    """
    first, second = _sample(first), _sample(second)
    if len(first) != len(second):
        raise LabmillError(
            f"a paired comparison needs the same seeds: {len(first)} and {len(second)}"
        )
    differences = first - second
    flipped, exact = sign_flip(differences)
    mean = mean_over_seeds(differences, level=level)
    n, estimate, low, high = mean.n, mean.estimate, mean.low, mean.high
    test, p = PAIRED_T, None
    if mean.sd is not None:
        if mean.sd <= ROUNDING * float(np.abs([first, second]).max()):
            test, p, low, high = SIGN_FLIP, flipped, None, None
        else:
            p = 2 * float(stats.t.sf(abs(estimate) * n**0.5 / mean.sd, n - 1))
    return SeedComparison(
        n=n,
        estimate=estimate,
        low=low,
        high=high,
        sd=mean.sd,
        test=test,
        p=p,
        sign_flip_p=flipped,
        exact=exact,
    )


def sign_flip(differences: ArrayLike) -> tuple[float, bool]:
    """Two-sided sign-flip permutation p of a mean difference, and whether exact.

    Up to 16 differences all sign patterns are tried; above, 99,999 random ones and the
    observed one. Needs only that a difference is as likely to be +x as −x when the
    variants are equal; its smallest possible p is `smallest_sign_flip_p(n)`.
    """
    differences = _sample(differences)
    n = len(differences)
    exact = n <= EXACT_SEEDS
    if exact:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        generator = numpy_generator(0, "sign_flip", n)
        signs = 1 - 2 * generator.integers(0, 2, (RESAMPLES, n), dtype=np.int8)
    sums, observed = np.abs(signs @ differences), abs(differences.sum())
    tolerance = 1e-12 * np.abs(differences).sum()
    reached = int((sums >= observed - tolerance).sum())
    return (reached / 2**n if exact else (reached + 1) / (RESAMPLES + 1)), exact


def smallest_sign_flip_p(n: int) -> float:
    """The smallest p that a two-sided sign-flip test over n seeds can give."""
    return min(1.0, 2.0 ** (1 - n)) if n <= EXACT_SEEDS else 1 / (RESAMPLES + 1)


def paired_images(
    first_correct: ArrayLike, second_correct: ArrayLike, *, level: float = 0.95
) -> ImageComparison:
    """Compare two trained networks on the same images, given who got which right.

    p: McNemar's exact test. Interval: Bonett and Price's (2012) adjusted Wald interval
    for a difference of paired proportions. In simulation it covers 94.5 % or more from
    50 images on, where the plain Wald interval falls to 70 % when few images differ; it
    pulls towards zero, so it is not centred on the estimate.
    """
    first = np.asarray(first_correct, dtype=bool)
    second = np.asarray(second_correct, dtype=bool)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise LabmillError(
            "a paired comparison needs the same images: "
            f"shapes {first.shape} and {second.shape}"
        )
    n = len(first)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    discordant = only_first + only_second
    p = stats.binomtest(only_first, discordant).pvalue if discordant else 1.0
    one, two = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    error = ((one + two - (one - two) ** 2) / (n + 2)) ** 0.5
    half = float(stats.norm.ppf((1 + level) / 2)) * error
    return ImageComparison(
        n=n,
        estimate=(only_first - only_second) / n,
        low=max(-1.0, one - two - half),
        high=min(1.0, one - two + half),
        only_first=only_first,
        only_second=only_second,
        p=float(p),
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p values adjusted for their number (Holm, 1979); None is not in the family."""
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        adjusted[index] = highest
    return adjusted


def minimum_detectable_effect(
    sd: float, n: int, *, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """The true mean difference that n seeds show with this probability.

    Two-sided paired t-test at `alpha`, which is 0.05 over the number of tests where
    there are several; `sd` is the standard deviation of the differences and the answer
    is in its unit. None with fewer than two seeds.
    """
    if n < 2:
        return None
    critical = float(stats.t.ppf(1 - alpha / 2, n - 1))
    return sd / n**0.5 * noncentrality(critical, n - 1, power)


def noncentrality(critical: float, freedom: int, power: float) -> float:
    """The noncentrality at which |t| exceeds `critical` with probability `power`."""

    def shortfall(shift: float) -> float:
        # Squared, t becomes F: SciPy's noncentral t is NaN far from its centre.
        return float(stats.ncf.sf(critical**2, 1, freedom, shift**2)) - power

    upper = _doubled_until(lambda shift: shortfall(shift) > 0)
    return float(brentq(shortfall, 0.0, upper))


def spearman(
    first: ArrayLike, second: ArrayLike, *, level: float = 0.95
) -> RankCorrelation:
    """Spearman's rank correlation.

    p is exact over all orders for up to 8 pairs, else SciPy's t approximation. The
    interval is `rank_interval`; there is none for fewer than 4 pairs or a perfect
    correlation.
    """
    first, second = _sample(first), _sample(second)
    if len(first) != len(second):
        raise LabmillError(f"ranks need pairs: {len(first)} and {len(second)} values")
    n, exact = len(first), len(first) <= EXACT_RANKS
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return RankCorrelation(
            n=n, estimate=None, low=None, high=None, p=None, exact=exact
        )
    result = stats.spearmanr(first, second)
    rho = float(np.clip(result.statistic, -1.0, 1.0))
    p = _exact_rank_p(first, second) if exact else float(result.pvalue)
    low = high = None
    if n >= 4 and abs(rho) < 1 - 1e-12:
        low, high = rank_interval(rho, n, level=level)
    return RankCorrelation(n=n, estimate=rho, low=low, high=high, p=p, exact=exact)


def rank_interval(rho: float, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """The interval of Spearman's correlation, −1 < rho < 1, of n > 3 pairs.

    Fisher's z with the error of Bonett and Wright (2000).
    """
    error = ((1 + rho**2 / 2) / (n - 3)) ** 0.5
    half = float(stats.norm.ppf((1 + level) / 2)) * error
    z = float(np.arctanh(rho))
    return float(np.tanh(z - half)), float(np.tanh(z + half))


def wilson(correct: int, n: int, *, level: float = 0.95) -> Estimate:
    """Accuracy on n images with Wilson's (1927) interval."""
    if not 0 <= correct <= n or n < 1:
        raise LabmillError(f"{correct} of {n} images cannot be right")
    interval = stats.binomtest(correct, n).proportion_ci(level, method="wilson")
    return Estimate(
        n=n,
        estimate=correct / n,
        low=float(interval.low),
        high=float(interval.high),
    )


def verdict(
    p: float | None,
    *,
    estimate: float,
    n_seeds: int | None,
    alpha: float = 0.05,
) -> Verdict:
    """The word for a comparison, from its corrected p and its estimate.

    The tests over seeds are t-tests, because with the 3 to 5 seeds that people have no
    rank or permutation test can reach 5 %, and the t-test holds its level there as long
    as the differences are roughly symmetric. That assumption cannot be checked on so
    few seeds: the report's Limits say so, and where the exact sign-flip test can reach
    5 % its p stands beside. Below `LEAST_SEEDS` there is no verdict.

    `n_seeds`: None where the sample is images and the statement is about two trained
    networks.
    """
    if p is None or (n_seeds is not None and n_seeds < LEAST_SEEDS):
        return Verdict.TOO_FEW
    if p > alpha or estimate == 0:
        return Verdict.NOT_SHOWN
    return Verdict.HIGHER if estimate > 0 else Verdict.LOWER


def _sample(values: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise LabmillError(
            f"expected a list of finite numbers, at least one; found {values.tolist()}"
        )
    return values


def _exact_rank_p(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    x = stats.rankdata(first) - (len(first) + 1) / 2
    y = stats.rankdata(second) - (len(second) + 1) / 2
    orders = np.array(list(permutations(range(len(x)))))
    reached = np.abs(y[orders] @ x) >= abs(x @ y) - 1e-9
    return float(reached.mean())


def _doubled_until(holds: Callable[[float], bool]) -> float:
    value = 1.0
    while not holds(value):
        value *= 2
    return value
