"""Tukey's test with seeds as blocks: against references, and by simulation."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.libqsturng import psturng, qsturng

from labmill.errors import LabmillError
from labmill.evaluation.all_pairs import AllPairs, all_pairs
from labmill.evaluation.statistics import paired_seeds, sign_flip

quick = settings(max_examples=25, deadline=None, derandomize=True)
accuracy = st.integers(0, 1000).map(lambda count: count / 1000)


def layouts(variants: st.SearchStrategy[int]) -> st.SearchStrategy[np.ndarray]:
    """Accuracies of some variants × 3 to 6 seeds."""
    return st.tuples(variants, st.integers(3, 6)).flatmap(
        lambda shape: st.lists(
            accuracy, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]
        ).map(lambda flat: np.reshape(flat, shape))
    )


@quick
@given(layouts(st.just(2)))
def test_of_two_variants_it_is_the_paired_t_test(values) -> None:
    found, pair = all_pairs(values).compare(0, 1), paired_seeds(*values)
    assert (found.estimate, found.test) == (pytest.approx(pair.estimate), pair.test)
    assert found.p == pytest.approx(pair.p, rel=1e-6)
    # SciPy's studentised range is an integral: exact to its tolerance.
    assert found.p_adjusted == pytest.approx(pair.p, rel=1e-4, abs=1e-9)
    if pair.low is not None:
        assert (found.low, found.high) == pytest.approx((pair.low, pair.high), rel=1e-4)


@quick
@given(layouts(st.integers(3, 5)))
def test_spread_p_and_interval_agree_with_statsmodels(values) -> None:
    """Its residual is that of the two-way model; its p, the studentised range's."""
    assume(all_pairs(values).sd > 1e-3)
    k, n = values.shape
    table = pd.DataFrame(
        [(values[i, j], f"v{i}", f"s{j}") for i in range(k) for j in range(n)],
        columns=["accuracy", "variant", "seed"],
    )
    model = ols("accuracy ~ C(variant) + C(seed)", table).fit()
    found = all_pairs(values)
    assert found.freedom == model.df_resid
    assert found.sd**2 == pytest.approx(model.mse_resid)
    for i, j in combinations(range(k), 2):
        pair = found.compare(i, j)
        q = abs(pair.estimate) / (found.sd / n**0.5)
        reference = float(np.ravel(psturng(q, k, found.freedom))[0])
        # statsmodels interpolates a table, coarsely for large p.
        if 0.001 < pair.p_adjusted < 0.5:
            assert pair.p_adjusted == pytest.approx(reference, abs=0.01)
        half = qsturng(0.95, k, found.freedom) * found.sd / n**0.5
        assert pair.high - pair.estimate == pytest.approx(half, rel=0.01)
        assert (pair.p_adjusted < 0.05) == (pair.low > 0 or pair.high < 0)
        assert pair.p <= pair.p_adjusted + 1e-9


def test_seeds_are_blocks() -> None:
    """What a seed does to all variants alike changes nothing."""
    generator = np.random.default_rng(0)
    values = generator.normal(0.9, 0.01, (4, 3))
    moved = values + generator.normal(0, 0.2, 3)
    one, other = (all_pairs(v).compare(0, 3) for v in (values, moved))
    assert one.p_adjusted == pytest.approx(other.p_adjusted)
    assert (one.low, one.high) == pytest.approx((other.low, other.high))


def test_without_any_spread_the_sign_flip_test_is_what_is_left() -> None:
    found = all_pairs([[0.9, 0.8, 0.7], [0.8, 0.7, 0.6], [0.7, 0.6, 0.5]])
    pair = found.compare(0, 2)
    assert pair.low is pair.high is None and pair.test == "sign-flip test"
    assert (pair.p, pair.p_adjusted) == (sign_flip([0.2] * 3)[0], 0.75)
    assert found.uneven() is None


def alarms(generator: np.random.Generator, sds: list[float], n: int, repeats: int):
    """How often any pair of equal variants is told apart; how often one is `uneven`."""
    k = len(sds)
    critical = all_pairs(generator.normal(size=(k, n))).critical
    shown = found = 0
    for _ in range(repeats):
        values = generator.normal(size=(k, n)) * np.array(sds)[:, None]
        values += generator.normal(size=n)
        layout = quickly(values, critical)
        means = values.mean(axis=1)
        shown += np.ptp(means) > critical * layout.error
        found += layout.uneven() is not None
    return shown / repeats, found / repeats


def quickly(values: np.ndarray, critical: float) -> AllPairs:
    """`all_pairs` without computing the same critical value again."""
    (k, n), rows = values.shape, values - values.mean(axis=1, keepdims=True)
    freedom = (k - 1) * (n - 1)
    left = rows - rows.mean(axis=0)
    sd = float(((left**2).sum() / freedom) ** 0.5)
    return AllPairs(values=values, sd=sd, freedom=freedom, critical=critical)


@pytest.mark.parametrize("n", [3, 5])
@pytest.mark.parametrize("k", [3, 5, 10])
def test_all_pairs_together_keep_the_level(k, n) -> None:
    shown, uneven = alarms(np.random.default_rng(k * n), [1.0] * k, n, 1500)
    # Three standard errors of 1,500 repeats at 5 % are 1.7 points.
    assert 0.03 <= shown <= 0.067 and uneven <= 0.067


def test_one_variant_that_scatters_raises_the_level_as_the_docstring_says() -> None:
    shown, uneven = alarms(np.random.default_rng(1), [5.0] + [1.0] * 9, 3, 1500)
    assert shown == pytest.approx(0.21, abs=0.035)
    assert uneven == pytest.approx(0.71, abs=0.04)


def test_a_true_lead_is_found_as_often_as_promised() -> None:
    generator = np.random.default_rng(0)
    shape = (8, 3)
    planned = AllPairs(
        values=np.zeros(shape),
        sd=0.01,
        freedom=14,
        critical=all_pairs(generator.normal(size=shape)).critical,
    )
    lead = planned.detectable()
    found = 0
    for _ in range(3000):
        values = generator.normal(0.9, 0.01, shape)
        values[0] += lead
        layout = quickly(values, planned.critical)
        found += (values[0] - values[1]).mean() > layout.critical * layout.error
    assert found / 3000 == pytest.approx(0.8, abs=0.025)


def test_a_lead_that_pairwise_tests_cannot_show_is_shown() -> None:
    generator = np.random.default_rng(0)
    found = 0
    for _ in range(20):
        values = generator.normal(0.9, 0.006, (10, 3))
        values[0] += 0.04
        found += all_pairs(values).compare(0, 1).p_adjusted < 0.05
    assert found == 20


@pytest.mark.parametrize("values", [[[0.1, 0.2]], [[0.1], [0.2]], [[0.1, np.nan]] * 2])
def test_too_little_to_compare(values) -> None:
    with pytest.raises(LabmillError, match="at least two variants"):
        all_pairs(values)


def test_the_detectable_difference_of_two_is_the_paired_tests() -> None:
    from labmill.evaluation.statistics import minimum_detectable_effect

    values = np.random.default_rng(3).normal(0.9, 0.01, (2, 4))
    sd = float((values[0] - values[1]).std(ddof=1))
    assert all_pairs(values).detectable() == pytest.approx(
        minimum_detectable_effect(sd, 4), rel=1e-4
    )
    assert stats.t.ppf(0.975, 3) == pytest.approx(all_pairs(values).critical, rel=1e-4)
