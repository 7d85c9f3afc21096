"""Statistics against SciPy and statsmodels, and by simulation against their promises."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

from labmill.errors import LabmillError
from labmill.evaluation import statistics
from labmill.evaluation.statistics import (
    Verdict,
    holm,
    mean_over_seeds,
    minimum_detectable_effect,
    paired_images,
    paired_seeds,
    sign_flip,
    smallest_sign_flip_p,
    spearman,
    verdict,
    wilson,
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
    pair = paired_seeds([0.9], [0.8])
    assert pair.p is None and pair.sign_flip_p == 1.0


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
@given(seeds)
def test_paired_seeds(pair) -> None:
    first, second = map(np.array, pair)
    found = paired_seeds(first, second)
    assert found.estimate == pytest.approx((first - second).mean(), abs=1e-12)
    if np.ptp(first - second) > 1e-6:
        reference = stats.ttest_rel(first, second)
        assert found.p == pytest.approx(reference.pvalue, rel=1e-6)
        assert found.low == pytest.approx(reference.confidence_interval().low)
        assert found.high == pytest.approx(reference.confidence_interval().high)
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)
    if len(first) > 1:
        permuted = stats.permutation_test(
            (np.round((first - second) * 10_000),),
            lambda d, axis: np.abs(d.mean(axis=axis)),
            permutation_type="samples",
            alternative="greater",
            n_resamples=np.inf,
            vectorized=True,
        )
        assert found.sign_flip_p == pytest.approx(permuted.pvalue)
    swapped = paired_seeds(second, first)
    assert swapped.estimate == -found.estimate
    assert (swapped.p, swapped.sign_flip_p) == (found.p, found.sign_flip_p)


def test_equal_differences_rest_on_the_permutation_alone() -> None:
    # 0.1 apart up to rounding: a t-test would call this p = 0.
    found = paired_seeds([0.3, 0.7, 0.9], [0.2, 0.6, 0.8])
    assert found.p == found.sign_flip_p == 0.25
    assert found.test == "sign-flip test"
    assert paired_seeds([0.3, 0.7, 0.9], [0.2, 0.6, 0.7]).test == "paired t-test"
    assert found.low is found.high is None
    same = paired_seeds([0.3, 0.7, 0.9], [0.3, 0.7, 0.9])
    assert (same.estimate, same.p) == (0, 1)


@pytest.mark.parametrize("n", range(1, 17))
def test_the_smallest_sign_flip_p_is_reached(n: int) -> None:
    p, exact = sign_flip(np.arange(1, n + 1) / n)
    assert exact and p == smallest_sign_flip_p(n)


def test_many_seeds_are_resampled_repeatably() -> None:
    differences = np.linspace(-0.5, 1.0, 20)
    p, exact = sign_flip(differences)
    assert not exact
    assert sign_flip(differences) == (p, exact)
    every = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=99_999,
        rng=np.random.default_rng(1),
    )
    assert p == pytest.approx(every.pvalue, rel=0.1)
    assert sign_flip(np.ones(20))[0] == pytest.approx(2e-5, rel=1)
    assert smallest_sign_flip_p(20) <= sign_flip(np.ones(20))[0]


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


def power_by_integral(effect: float, n: int, alpha: float) -> float:
    """P(|t| > c), t a normal at effect·√n over an independent χ of n - 1 degrees."""
    critical, spread = stats.t.ppf(1 - alpha / 2, n - 1), stats.chi(n - 1)
    scale = critical / (n - 1) ** 0.5

    def beyond(s: float) -> float:
        tails = stats.norm.sf(
            [scale * s - effect * n**0.5, scale * s + effect * n**0.5]
        )
        return tails.sum() * spread.pdf(s)

    return integrate.quad(beyond, 0, spread.ppf(1 - 1e-12), limit=200)[0]


@quick
@given(
    n=st.integers(3, 30),
    alpha=st.sampled_from([0.05, 0.01, 0.05 / 20]),
    power=st.sampled_from([0.8, 0.9]),
    sd=st.floats(0.001, 0.1),
)
def test_minimum_detectable_effect(n, alpha, power, sd) -> None:
    found = minimum_detectable_effect(sd, n, alpha=alpha, power=power)
    assert power_by_integral(found / sd, n, alpha) == pytest.approx(power, abs=1e-6)
    reference = TTestPower().power(found / sd, n, alpha)
    assert np.isnan(reference) or reference == pytest.approx(power, abs=1e-6)


def test_what_three_seeds_could_show_is_shown_that_often() -> None:
    effect = minimum_detectable_effect(0.01, 3)
    draws = np.random.default_rng(0).normal(effect, 0.01, (4000, 3))
    shown = stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05
    assert shown.mean() == pytest.approx(0.8, abs=0.02)
    assert minimum_detectable_effect(0.01, 1) is None
    assert minimum_detectable_effect(0.0, 3) == 0.0


@quick
@given(st.data())
def test_spearman(data) -> None:
    n = data.draw(st.sampled_from([3, 5, 6, 12, 30]))
    values = st.lists(st.integers(0, 20), min_size=n, max_size=n)
    first, second = data.draw(values), data.draw(values)
    found = spearman(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert found.estimate is found.low is found.p is None
        return
    reference = stats.spearmanr(first, second)
    assert found.estimate == pytest.approx(reference.statistic)
    assert found.exact == (n <= 8)
    if not found.exact:
        assert found.p == pytest.approx(reference.pvalue)
    if found.low is not None:
        assert -1 <= found.low <= found.estimate <= found.high <= 1


@pytest.mark.parametrize(
    "second", [[1, 2, 3, 4, 5], [2, 1, 4, 3, 5], [3, 3, 1, 2, 2], [5, 1, 4, 2, 3]]
)
def test_spearman_is_exact_for_few(second) -> None:
    first = [1, 2, 3, 4, 5]
    reference = stats.permutation_test(
        (first,),
        lambda x: stats.spearmanr(x, second).statistic,
        permutation_type="pairings",
        n_resamples=np.inf,
    )
    assert spearman(first, second).p == pytest.approx(reference.pvalue)


@quick
@given(st.integers(1, 10_000), st.data())
def test_wilson(n, data) -> None:
    correct = data.draw(st.integers(0, n))
    found = wilson(correct, n)
    low, high = proportion_confint(correct, n, method="wilson")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)
    assert found.low <= found.estimate + 1e-12 and found.estimate <= found.high + 1e-12


NOISE = {
    "normal": lambda g, size: g.normal(size=size),
    "uniform": lambda g, size: g.uniform(size=size),
    "laplace": lambda g, size: g.laplace(size=size),
    "skewed": lambda g, size: g.exponential(size=size),
    "counts": lambda g, size: g.binomial(1000, 0.9, size=size) / 1000,
}


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_interval_over_seeds_covers_and_errs_as_promised(noise, n) -> None:
    generator = np.random.default_rng(n)
    effect, repeats = 0.3, 1000
    first, second = (NOISE[noise](generator, (repeats, n)) for _ in range(2))
    covered = wrong = 0
    for a, b in zip(first, second, strict=True):
        found = paired_seeds(a + effect, b)
        covered += found.low is None or found.low <= effect <= found.high
        null = paired_seeds(a, b)
        word = verdict(null.p, estimate=null.estimate, n_seeds=n)
        wrong += word in (Verdict.HIGHER, Verdict.LOWER)
    # Three standard errors of 1,000 repeats at 5 % are 2.1 points.
    assert covered / repeats >= 0.93
    assert wrong / repeats <= 0.07


@pytest.mark.parametrize("n", [3, 5])
def test_holm_keeps_the_family_of_comparisons_at_its_level(n) -> None:
    generator = np.random.default_rng(n)
    false_alarms = 0
    for _ in range(400):
        runs = generator.normal(0.9, 0.01, (6, n))
        pairs = [paired_seeds(run, runs[0]) for run in runs[1:]]
        adjusted = holm([pair.p for pair in pairs])
        words = {
            verdict(p, estimate=pair.estimate, n_seeds=n)
            for p, pair in zip(adjusted, pairs, strict=True)
        }
        false_alarms += words != {Verdict.NOT_SHOWN}
    assert false_alarms / 400 <= 0.08


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
    found = [spearman(*pair.T) for pair in pairs]
    assert np.mean([f.low <= ranks <= f.high for f in found]) >= 0.93


def test_verdicts() -> None:
    assert verdict(0.01, estimate=0.1, n_seeds=3) == "higher"
    assert verdict(0.01, estimate=-0.1, n_seeds=3) == "lower"
    assert verdict(0.06, estimate=0.1, n_seeds=3) == "no difference shown"
    for n_seeds in (1, 2):
        assert verdict(0.001, estimate=0.1, n_seeds=n_seeds) == "too few seeds"
    assert verdict(None, estimate=0.1, n_seeds=1) == "too few seeds"
    assert verdict(0.01, estimate=0.1, n_seeds=None) == "higher"


def test_results_are_json() -> None:
    results = [
        paired_seeds([0.1, 0.2, 0.4], [0.2, 0.2, 0.2]),
        paired_images([True, False], [False, False]),
        spearman([1, 2, 3, 4, 5], [1, 3, 2, 5, 4]),
        wilson(3, 4),
    ]
    for result in results:
        assert json.loads(json.dumps(asdict(result), allow_nan=False)) == asdict(result)
    assert json.dumps(Verdict.TOO_FEW) == '"too few seeds"'


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired_seeds([0.1, 0.2], [0.1]), "same seeds: 2 and 1"),
        (lambda: mean_over_seeds([0.1, float("nan")]), "finite numbers"),
        (lambda: mean_over_seeds([]), "at least one"),
        (lambda: paired_images([True], [True, False]), "same images"),
        (lambda: wilson(5, 4), "5 of 4"),
        (lambda: spearman([1, 2], [1]), "2 and 1 values"),
    ],
)
def test_errors(call, message) -> None:
    with pytest.raises(LabmillError, match=message):
        call()


def test_thresholds_are_what_the_docstrings_say() -> None:
    assert (statistics.EXACT_SEEDS, statistics.EXACT_RANKS) == (16, 8)
    assert statistics.RESAMPLES == 99_999 and statistics.LEAST_SEEDS == 3
