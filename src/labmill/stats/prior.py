"""Moderated variances: each variant's own, shrunk towards a common prior.

All functions work on any number of leading axes.
"""

from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# A prior of more degrees of freedom than this counts as infinite.
MOST_FREEDOM = 1e6
# A variance below this share of the pooled one is raised to it before its logarithm.
LEAST_SHARE = 1e-4
# Level at which a variance counts as an outlier, over all variants.
OUTLIER_ALPHA = 0.01
# Largest weight of the prior, in degrees of freedom.
MOST_PRIOR = 7.0
# Guard against outliers that look like the others; see `own_share`.
HIDDEN = 6.0
LEAST_OWN = 0.03


def fit_prior(
    variances: Floats, freedom: Floats, *, robust: bool = True
) -> tuple[Floats, Floats]:
    """Estimate the common prior of variances from the moments of their logarithms.

    Smyth (2004), section 6.2: s² ~ s0² F(d, d0). A spread of log s² that chance alone
    explains gives d0 = infinity, and s0² is then the pooled variance. Outlying
    variances do not enter the fit; the large ones have no prior (d0 = 0), as in the
    robust fit of Phipson et al. (2016).

    Args:
        variances: s², (..., k).
        freedom: degrees of freedom of each, broadcastable to (..., k).
        robust: whether outliers are looked for.

    Returns:
        d0 (..., k) and s0² (...); d0 = 0 where there are fewer than two variances.
    """
    variances = np.asarray(variances, dtype=np.float64)
    freedom = np.broadcast_to(np.asarray(freedom, dtype=np.float64), variances.shape)
    if variances.shape[-1] < 2:
        return np.zeros(variances.shape), variances.mean(-1)
    large = np.zeros(variances.shape, dtype=bool)
    used = ~large
    if robust:
        large = large_outliers(variances, freedom)
        used = ~(large | _small_outliers(variances, freedom, large))
    d0, s0_squared = _fit(variances, freedom, used)
    return np.where(large, 0.0, d0[..., None]), s0_squared


def large_outliers(variances: Floats, freedom: Floats) -> Mask:
    """Find variances too large for a common one, bool (..., k).

    For j = 1 … (k − 1)/2 the j-th largest is compared with the pooled rest by an F test
    with the freedom of all j, corrected for the number of subsets and of j; the j with
    the smallest p counts, if that is at most `OUTLIER_ALPHA`.
    """
    k = variances.shape[-1]
    order = np.argsort(-variances, axis=-1)
    ordered = np.take_along_axis(variances, order, axis=-1)
    df = np.take_along_axis(freedom, order, axis=-1)
    number = np.zeros(variances.shape[:-1], dtype=int)
    smallest = np.full(number.shape, OUTLIER_ALPHA)
    most = max(1, (k - 1) // 2) if k > 2 else 0
    for j in range(1, most + 1):
        rest = df[..., j:].sum(-1)
        pooled = (df[..., j:] * ordered[..., j:]).sum(-1) / rest
        ratio = ordered[..., j - 1] / np.where(pooled > 0, pooled, np.inf)
        p = most * comb(k, j) * special.fdtrc(df[..., :j].sum(-1), rest, ratio)
        number = np.where(p <= smallest, j, number)
        smallest = np.minimum(p, smallest)
    rank = np.argsort(order, axis=-1)
    found: Mask = rank < number[..., None]
    return found


def _small_outliers(variances: Floats, freedom: Floats, large: Mask) -> Mask:
    """Find up to (k − 1)/3 variances too small for the pooled others, one by one."""
    k = variances.shape[-1]
    found = np.zeros(variances.shape, dtype=bool)
    for _ in range(max(1, (k - 1) // 3)):
        used = ~(large | found)
        smallest = np.where(used, variances, np.inf).argmin(-1)[..., None]
        here = np.arange(k) == smallest
        others = used & ~here
        rest = np.where(others, freedom, 0.0).sum(-1)
        sums = np.where(others, freedom * variances, 0.0).sum(-1)
        known = (sums > 0) & (others.sum(-1) > 1)
        pooled = np.where(known, sums, 1.0) / np.where(known, rest, 1.0)
        least = np.take_along_axis(variances, smallest, axis=-1)[..., 0]
        df = np.take_along_axis(freedom, smallest, axis=-1)[..., 0]
        p = others.sum(-1) * special.fdtr(
            df, np.where(known, rest, 1.0), least / pooled
        )
        found |= here & (known & (p <= OUTLIER_ALPHA))[..., None]
    return found


def _fit(variances: Floats, freedom: Floats, used: Mask) -> tuple[Floats, Floats]:
    """Fit d0 and s0² (...) to the variances that are used."""
    count = used.sum(-1)
    total = np.where(used, freedom, 0.0).sum(-1)
    pooled = np.where(used, freedom * variances, 0.0).sum(-1) / total
    floor = LEAST_SHARE * np.where(pooled > 0, pooled, 1.0)
    raised = np.maximum(variances, floor[..., None])
    logs = np.log(raised) - special.digamma(freedom / 2) + np.log(freedom / 2)
    center = np.where(used, logs, 0.0).sum(-1) / count
    squares = (logs - center[..., None]) ** 2 * (count / (count - 1))[..., None]
    terms = np.where(used, squares - special.polygamma(1, freedom / 2), 0.0)
    excess = terms.sum(-1) / count
    unequal = excess > 2 / MOST_FREEDOM
    half = inverse_trigamma(np.where(unequal, excess, 1.0))
    location = np.exp(center + special.digamma(half) - np.log(half))
    return np.where(unequal, 2 * half, np.inf), np.where(unequal, location, pooled)


def moderate(
    variances: Floats,
    freedom: Floats,
    d0: Floats,
    s0_squared: Floats,
    *,
    most: float = MOST_PRIOR,
) -> tuple[Floats, Floats]:
    """Shrink variances towards the prior (Smyth 2004, equation 3).

    Args:
        variances: (..., k), one per variant.
        freedom: their degrees of freedom.
        d0: degrees of freedom of the prior, (...).
        s0_squared: its variance, (...).
        most: largest weight of the prior in degrees of freedom. Few values cannot show
            that all scatter equally, so a variant's own variance keeps a part. Infinity
            gives the pooled t-test where d0 is infinite.

    Returns:
        The moderated variances (..., k) and their degrees of freedom: d0 + d, at most
        those of all variances with a prior together.
    """
    freedom = np.broadcast_to(np.asarray(freedom, dtype=np.float64), variances.shape)
    d0 = np.minimum(d0, most)
    share = freedom / (freedom + d0)
    moderated = share * variances + (1 - share) * np.asarray(s0_squared)[..., None]
    total = np.where(d0 > 0, freedom, 0.0).sum(-1, keepdims=True)
    return moderated, np.where(d0 > 0, np.minimum(d0 + freedom, total), freedom)


def own_share(freedom: Floats, d0: Floats) -> Floats:
    """Return how far each variant's own test must decide, 0 … 1, (..., k).

    It is d / (d + d0), and at least (0.03 + 6 times the share of large outliers found)
    / d: others may be hidden among the small variances, the more so the
    fewer the seeds. All constants were chosen by simulation (docs/statistics.md).
    """
    freedom = np.broadcast_to(np.asarray(freedom, dtype=np.float64), d0.shape)
    outliers = (d0 == 0).mean(-1, keepdims=True)
    hidden = np.minimum((HIDDEN * outliers + LEAST_OWN) / freedom, 1.0)
    share: Floats = np.maximum(freedom / (freedom + d0), hidden)
    return share


def inverse_trigamma(values: Floats) -> Floats:
    """Solve trigamma(x) = value by Newton's method (Smyth 2004, appendix)."""
    x = 0.5 + 1 / values
    for _ in range(20):
        trigamma = special.polygamma(1, x)
        x = x + trigamma * (1 - trigamma / values) / special.polygamma(2, x)
    return x
