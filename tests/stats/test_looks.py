"""The levels of several looks: their errors add up to that of one test."""

import numpy as np
import pytest
from scipy import stats

from labmill.stats.looks import SPENDING, Look, nominal_levels


@pytest.mark.parametrize("looks", [(3, 5, 8, 12), (3, 5), (4, 6, 9, 14, 20)])
@pytest.mark.parametrize("alpha", [0.05, 0.005])
def test_the_error_over_all_looks_is_alpha(looks, alpha):
    generator = np.random.default_rng(0)
    draws = generator.standard_normal((400_000, looks[-1])).cumsum(axis=1)
    z = np.stack([draws[:, n - 1] / n**0.5 for n in looks], axis=1)
    p = 2 * stats.norm.sf(np.abs(z))
    crossed = np.logical_or.accumulate(p <= nominal_levels(looks, alpha), axis=1)
    spent = alpha * (np.array(looks) / looks[-1]) ** SPENDING
    error = (alpha / len(draws)) ** 0.5
    assert np.abs(crossed.mean(axis=0) - spent).max() < 4 * error


def test_one_look_is_an_ordinary_test_and_later_looks_are_less_strict():
    assert nominal_levels((12,), 0.05) == pytest.approx((0.05,), rel=1e-4)
    shares = [Look(n, (3, 5, 8, 12)).share(0.05) for n in (3, 5, 8, 12)]
    assert shares == sorted(shares)
    assert shares[-1] < 1
    assert Look(4, (3, 5, 8, 12)).share(0.05) == shares[1]
