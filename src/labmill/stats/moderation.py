"""Array functions behind `contrasts`: t tests and their correction.

Like those of `prior`, they work on any number of leading axes, so that
`benchmarks/error_rates.py` simulates the same code that reports use.
"""

import numpy as np
from scipy import special

from labmill.stats.prior import Floats

# How the share of a variant's own variance sets the correction of the variant's test.
OWN_POWER = 0.5


def satterthwaite(
    parts: Floats, freedom: Floats, most: Floats | float = np.inf
) -> tuple[Floats, Floats]:
    """Add independent variance parts (..., m) and approximate the sum's freedom.

    Satterthwaite (1946). A sum of 0 has the smallest freedom of its parts.
    """
    total = parts.sum(-1)
    scale = np.where(total > 0, total, 1.0)[..., None]
    weights = np.where(freedom > 0, (parts / scale) ** 2, 0.0)
    inverse = (weights / np.where(freedom > 0, freedom, 1.0)).sum(-1)
    least = np.broadcast_to(freedom, parts.shape).min(-1)
    result = np.where(inverse > 0, 1 / np.where(inverse > 0, inverse, 1.0), least)
    return total, np.minimum(result, most)


def p_value(estimate: Floats, squared_error: Floats, freedom: Floats) -> Floats:
    """Return two-sided p values of t; an error of 0 gives 0, or 1 if the estimate is 0."""
    known = squared_error > 0
    t = np.abs(estimate) / np.sqrt(np.where(known, squared_error, 1.0))
    exact = np.where(np.asarray(estimate) == 0, 1.0, 0.0)
    tail = 2 * special.stdtr(np.where(known, freedom, 1.0), -t)
    return np.where(known, tail, exact)


def half_width(squared_error: Floats, freedom: Floats, alpha: Floats) -> Floats:
    """Return the half-width of the t interval at level 1 − alpha."""
    safe = np.where(squared_error > 0, freedom, 1.0)
    return -special.stdtrit(safe, np.asarray(alpha) / 2) * np.sqrt(squared_error)


def own_correction(comparisons: Floats | float, share: Floats | float) -> Floats:
    """Return the factor m^√share by which an own p is corrected at least."""
    factor: Floats = np.asarray(comparisons, dtype=np.float64) ** (
        np.asarray(share, dtype=np.float64) ** OWN_POWER
    )
    return factor


def corrected(
    own: Floats, moderated: Floats, share: Floats, comparisons: Floats | int
) -> Floats:
    """Correct p values for a number m of comparisons.

    The moderated p is multiplied by m (Bonferroni). The result is at least the own p
    times m^√share and at most the own p times m: where variances look equal (share 0)
    the own test must only reach 5 % alone; where they do not (share 1), the own test
    decides. With one comparison it is the own p.
    """
    m = np.asarray(comparisons, dtype=np.float64)
    least = own * own_correction(m, share)
    return np.minimum(np.minimum(np.maximum(m * moderated, least), m * own), 1.0)
