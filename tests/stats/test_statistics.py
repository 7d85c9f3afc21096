"""Statistics against SciPy and statsmodels, and by simulation against their promises."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from labmill.core.errors import LabmillError
from labmill.stats.significance import (
    holm,
    mean_over_seeds,
    paired_images,
    rank_interval,
)

quick = settings(max_examples=40, deadline=None, derandomize=True)
accuracy = st.integers(0, 10_000).map(lambda count: count / 10_000)
seeds = st.integers(1, 9).flatmap(
    lambda n: st.tuples(*[st.lists(accuracy, min_size=n, max_size=n)] * 2)
)


@pytest.mark.filterwarnings("ignore:Precision loss")
@quick
@given(st.lists(accuracy, min_size=2, max_size=12), st.sampled_from([0.9, 0.95]))
def test_mean_over_seeds(values, level) -> None:
    found = mean_over_seeds(values, level=level)
    expected = stats.ttest_1samp(values, 0).confidence_interval(level)
    if np.ptp(values) > 0:
        assert found.low == pytest.approx(expected.low, abs=1e-12)
        assert found.high == pytest.approx(expected.high, abs=1e-12)
    assert found.estimate == pytest.approx(np.mean(values))
    assert found.sd == pytest.approx(np.std(values, ddof=1))


def test_one_seed_has_no_interval() -> None:
    found = mean_over_seeds([0.9])
    assert (found.n, found.estimate, found.sd) == (1, 0.9, None)
    assert found.low is found.high is None


@pytest.mark.parametrize("value", [0.1, 0.97, 1.0])
def test_equal_values_have_no_interval(value) -> None:
    found = mean_over_seeds([value] * 3)
    assert (found.estimate, found.sd) == (pytest.approx(value), 0)
    assert found.low is found.high is None


def test_an_interval_of_shares_ends_where_shares_do() -> None:
    found = mean_over_seeds([0.99, 1.0, 1.0], share=True)
    assert found.high == 1.0 and 0.98 < found.low < found.estimate
    assert mean_over_seeds([0.0, 0.0, 0.01], share=True).low == 0.0
    assert mean_over_seeds([0.99, 1.0, 1.0]).high > 1.0


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize(
    ("truth", "least"), [(None, 0.93), (0.9, 0.93), (0.99, 0.93), (0.999, 0.92)]
)
def test_the_interval_of_a_mean_covers_up_to_the_ceiling(n, truth, least) -> None:
    generator = np.random.default_rng(n)
    draws = (
        generator.normal(0.9, 0.01, (2000, n))
        if truth is None
        else generator.binomial(1000, truth, (2000, n)) / 1000
    )
    found = [mean_over_seeds(one, share=True) for one in draws]
    known = [f for f in found if f.low is not None]
    truth = 0.9 if truth is None else truth
    assert np.mean([f.low <= truth <= f.high for f in known]) >= least
    assert all(0 <= f.low <= f.high <= 1 for f in known)


@quick
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_paired_images(answers) -> None:
    first, second = map(np.array, zip(*answers, strict=True))
    found = paired_images(first, second)
    table = [[(a, b) for a, b in answers].count((i, j)) for i in (1, 0) for j in (1, 0)]
    reference = mcnemar(np.array(table).reshape(2, 2), exact=True)
    assert found.p == pytest.approx(reference.pvalue)
    assert found.estimate == pytest.approx(first.mean() - second.mean())
    assert found.only_first + found.only_second == (first != second).sum()
    assert -1 <= found.low <= found.high <= 1
    assert (found.low, found.high) == pytest.approx(
        tuple(-v for v in (lambda s: (s.high, s.low))(paired_images(second, first)))
    )


# Few examples: statsmodels collects garbage at each call.
@settings(quick, max_examples=10)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm(p_values) -> None:
    expected = multipletests(p_values, method="holm")[1]
    assert holm(p_values) == pytest.approx(list(expected))
    with_gap = [None, *p_values, None]
    assert holm(with_gap) == [None, *holm(p_values), None]


@pytest.mark.parametrize("n", [50, 1000])
@pytest.mark.parametrize("shares", [(0.1, 0.1), (0.05, 0.02), (0.02, 0.005)])
def test_the_interval_over_images_covers_as_promised(n, shares) -> None:
    generator = np.random.default_rng(n)
    truth = shares[0] - shares[1]
    covered = shown = 0
    for _ in range(600):
        kind = generator.choice(3, size=n, p=[*shares, 1 - sum(shares)])
        found = paired_images(kind == 0, kind == 1)
        covered += found.low <= truth <= found.high
        shown += found.p <= 0.05
    assert covered / 600 >= 0.93
    if truth == 0:
        assert shown / 600 <= 0.07


def test_the_interval_of_a_rank_correlation_covers() -> None:
    generator = np.random.default_rng(0)
    rho = 0.6
    ranks = 6 / np.pi * np.arcsin(rho / 2)  # Spearman's rho of a normal pair
    pairs = generator.multivariate_normal([0, 0], [[1, rho], [rho, 1]], (600, 15))
    found = [rank_interval(stats.spearmanr(*pair.T).statistic, 15) for pair in pairs]
    assert np.mean([low <= ranks <= high for low, high in found]) >= 0.93


def test_results_are_json() -> None:
    results = [
        mean_over_seeds([0.1, 0.2, 0.4]),
        paired_images([True, False], [False, False]),
    ]
    for result in results:
        assert json.loads(json.dumps(asdict(result), allow_nan=False)) == asdict(result)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_over_seeds([0.1, float("nan")]), "finite numbers"),
        (lambda: mean_over_seeds([]), "at least one"),
        (lambda: paired_images([True], [True, False]), "same images"),
    ],
)
def test_errors(call, message) -> None:
    with pytest.raises(LabmillError, match=message):
        call()
