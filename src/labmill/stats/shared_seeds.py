"""Seeds that move all variants together: a test for them, and their removal."""

from collections.abc import Mapping

import numpy as np
from scipy import stats

from labmill.stats.prior import Floats


def seed_concordance(values: Floats) -> Floats:
    """Test whether seeds move all variants together: Friedman's test over seeds.

    It compares ranks within each variant, so unequal scatter does not matter. The
    chi-squared approximation is conservative at few seeds: fewer than five variants
    never reach 1 % at three seeds.

    Args:
        values: (..., k, n), one row per variant, one column per seed.

    Returns:
        p values, (...).
    """
    k, n = values.shape[-2:]
    if k < 3 or n < 3:
        return np.ones(values.shape[:-2])
    ranks = stats.rankdata(values, axis=-1)
    ties = ((ranks - (n + 1) / 2) ** 2).sum((-2, -1)) / (k * (n**3 - n) / 12)
    sums = ((ranks.sum(-2) - k * (n + 1) / 2) ** 2).sum(-1)
    statistic = 12 * sums / (k * n * (n + 1)) / np.where(ties > 0, ties, 1.0)
    p: Floats = np.where(ties > 0, stats.chi2.sf(statistic, n - 1), 1.0)
    return p


def shared_seed_freedom(n: Floats | int, k: int) -> Floats:
    """Return a variant's degrees of freedom once the seeds' effects are removed.

    Chosen so that Satterthwaite's rule gives two rows of k their exact freedom:
    residuals of two rows correlate by −1/(k − 1).
    """
    return (np.asarray(n, dtype=np.float64) - 1) / (1 + 1 / (k - 1) ** 2)


def residual_variances(values: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    """Return each variant's variance in the layout variant + seed.

    The layout is fitted by least squares, so seeds may be missing; a variance is
    unbiased if all are equal.

    Args:
        values: variant → seed → value, at least two seeds each.
    """
    cells = [(v, s) for v, row in values.items() for s in row]
    variants, seeds = list(values), sorted({seed for _, seed in cells})
    design = np.zeros((len(cells), len(variants) + len(seeds)))
    for row, (variant, seed) in enumerate(cells):
        design[row, variants.index(variant)] = 1
        design[row, len(variants) + seeds.index(seed)] = 1
    y = np.array([values[v][s] for v, s in cells], dtype=np.float64)
    hat = design @ np.linalg.pinv(design)
    residuals, left = y - hat @ y, 1 - np.diag(hat)
    found = {}
    for variant in variants:
        mine = [i for i, (v, _) in enumerate(cells) if v == variant]
        squares = float((residuals[mine] ** 2).sum())
        found[variant] = squares / max(float(left[mine].sum()), 1e-9)
    return found
