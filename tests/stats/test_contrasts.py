"""Contrasts over seeds: properties, and agreement with SciPy and statsmodels."""

import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import ttost_ind

from labmill.stats.contrasts import Comparison, Family, compare
from labmill.stats.hypothesis_test import Status
from labmill.stats.images import image_error
from labmill.stats.layout import Contrast, Layout, average, pair
from labmill.stats.margins import Verdict
from labmill.stats.prior import fit_prior, moderate

quick = settings(max_examples=60, deadline=None, derandomize=True)
accuracy = st.integers(0, 200).map(lambda count: count / 200)
ragged = st.lists(
    st.dictionaries(st.integers(0, 5), accuracy, min_size=1, max_size=6),
    min_size=2,
    max_size=6,
).map(lambda rows: {f"v{i}": row for i, row in enumerate(rows)})


def rows_of(generator: np.random.Generator, k: int, n: int) -> np.ndarray:
    """Draw a study in which scatter differs between variants."""
    sds = np.exp(generator.normal(-5, 1, k))
    return (
        0.9
        + generator.normal(0, 0.02, (k, 1))
        + (generator.standard_normal((k, n)) * sds[:, None])
    )


def test_two_variants_have_welchs_test() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        first = generator.normal(0, 1, generator.integers(2, 8))
        second = generator.normal(0.5, 4, generator.integers(2, 8))
        result = compare(Layout.of_rows([first, second]), margin=1).results[0]
        welch = stats.ttest_ind(first, second, equal_var=False)
        low, high = welch.confidence_interval()
        assert result.p == pytest.approx(welch.pvalue)
        assert result.p_adjusted == pytest.approx(welch.pvalue)
        assert (result.low, result.high) == pytest.approx((low, high))
        assert (result.matched_low, result.matched_high) == pytest.approx((low, high))


def test_equal_scatter_is_the_pooled_t_test() -> None:
    """An infinite prior of any weight gives the pooled error, with its df."""
    rows = np.random.default_rng(1).permuted(np.tile([0.0, 1, 2, 3.1], (5, 1)), axis=1)
    freedom, variances = np.array(3.0), rows.var(axis=1, ddof=1)
    d0, s0_squared = fit_prior(variances, freedom)
    assert d0.tolist() == [np.inf] * 5
    shrunk, total = moderate(variances, freedom, d0, s0_squared, most=np.inf)
    assert shrunk == pytest.approx(np.full(5, variances.mean()))
    assert total.tolist() == [15] * 5
    layout = Layout.of_rows(rows + np.arange(5)[:, None], "independent")
    spread = layout.spread(pair("0", "1"))
    assert spread is not None
    t = stats.ttest_ind(rows[0], rows[1] + 1)
    assert spread.estimate / spread.moderated[0] ** 0.5 == pytest.approx(t.statistic)
    assert spread.moderated[1] == 15  # two parts of 3 + 7 df, at most the pooled 15


def test_shared_seeds_of_two_variants_have_the_paired_t_test() -> None:
    first, second = [0.1, 0.5, 0.9, 0.4], [0.2, 0.7, 1.2, 0.45]
    result = compare(Layout.of_rows([first, second], "shared")).results[0]
    paired = stats.ttest_rel(first, second)
    assert result.p == pytest.approx(paired.pvalue)
    low, high = paired.confidence_interval()
    assert (result.low, result.high) == pytest.approx((low, high))


def test_shared_variances_are_those_of_the_two_way_layout() -> None:
    rows = np.random.default_rng(2).normal(size=(5, 4))
    layout = Layout.of_rows(rows, "shared")
    rest = rows - rows.mean(0) - rows.mean(1, keepdims=True) + rows.mean()
    expected = (rest**2).sum(1) * 5 / 4 / 3
    assert [v for v, _ in layout.variances.values()] == pytest.approx(expected)
    total = sum(v for v, _ in layout.variances.values()) / 5
    assert total == pytest.approx((rest**2).sum() / 12)  # the ANOVA's mean square


def test_prior_recovers_what_it_was_drawn_from() -> None:
    """Many variances of a scaled F distribution give back d0 and s0² (Smyth 2004)."""
    generator = np.random.default_rng(3)
    true = 4 * 6 / generator.chisquare(6, 20_000)
    seen = true * generator.chisquare(4, 20_000) / 4
    d0, s0_squared = fit_prior(seen, np.array(4.0), robust=False)
    assert d0[0] == pytest.approx(6, rel=0.1)
    assert s0_squared == pytest.approx(4, rel=0.05)
    shrunk, freedom = moderate(seen, np.array(4.0), d0, s0_squared)
    assert shrunk == pytest.approx((d0 * s0_squared + 4 * seen) / (d0 + 4))
    assert freedom == pytest.approx(d0 + 4)


def test_practically_equal_implies_statsmodels_equivalence() -> None:
    generator, equal = np.random.default_rng(4), 0
    for _ in range(200):
        rows = generator.normal(0, 0.4, (2, 6))
        result = compare(Layout.of_rows(rows), margin=0.8).results[0]
        p, *_ = ttost_ind(rows[0], rows[1], -0.8, 0.8, usevar="unequal")
        if result.verdict is Verdict.PRACTICALLY_EQUAL:
            equal += 1
            assert p <= 0.025 + 1e-9
        else:
            assert p > 0.025 - 1e-9
    assert 20 < equal < 180


def check(result: Comparison, family: Family) -> None:
    """Check that verdict, intervals and p values of a result agree."""
    if result.p_adjusted is None:
        assert result.status in (Status.TOO_FEW_SEEDS, Status.NO_SPREAD)
        assert (result.low, result.matched_low, result.shown) == (None, None, False)
        assert result.verdict is Verdict.UNDECIDED
        return
    assert result.p is not None and result.low is not None and result.high is not None
    assert result.matched_low is not None and result.matched_high is not None
    assert 0 <= result.p <= result.p_adjusted + 1e-12 <= 1 + 1e-12
    assert result.matched_low <= result.low + 1e-12
    assert result.high <= result.matched_high + 1e-12
    excludes = not result.matched_low <= 0 <= result.matched_high
    if abs(result.p_adjusted - 0.05) > 1e-9:
        assert result.shown == excludes == (result.p_adjusted <= 0.05)
    if abs(result.p - 0.05) > 1e-9:
        assert (not result.low <= 0 <= result.high) == (result.p <= 0.05)
    if result.verdict is Verdict.HIGHER:
        assert result.matched_low > 0 and result.matched_high >= result.margin
    if result.verdict is Verdict.LOWER:
        assert result.matched_high < 0 and result.matched_low <= -result.margin
    if result.verdict is Verdict.PRACTICALLY_EQUAL:
        assert max(-result.matched_low, result.matched_high) < result.margin
    if result.verdict is not Verdict.UNDECIDED:
        assert result.seeds_to_decide is None
    assert result.comparisons == family.comparisons


@pytest.mark.parametrize(
    "studies", [1_000, pytest.param(10_000, marks=pytest.mark.slow)]
)
def test_no_verdict_contradicts_its_interval(studies: int) -> None:
    generator = np.random.default_rng(5)
    for _ in range(studies):
        k, n = int(generator.integers(2, 6)), int(generator.integers(2, 7))
        rows = rows_of(generator, k, n)
        if generator.random() < 0.3:
            rows = np.round(rows, 2)
        values = {
            str(i): {j: float(rows[i, j]) for j in range(n) if generator.random() < 0.9}
            or {0: float(rows[i, 0])}
            for i in range(k)
        }
        family = compare(Layout(values))
        for result in family.results:
            check(result, family)


@quick
@given(ragged, st.sampled_from(["auto", "independent", "shared"]))
def test_missing_seeds_and_no_spread_give_typed_results(values, seeds) -> None:
    family = compare(Layout(values, seeds))
    assert len(family.results) == len(values) * (len(values) - 1) // 2
    for result in family.results:
        check(result, family)
        first, second = result.contrast.weights
        if min(len(values[first]), len(values[second])) < 2:
            assert result.status is Status.TOO_FEW_SEEDS


@quick
@given(ragged, st.floats(0.5, 20), st.floats(-3, 3))
def test_scale_and_origin_do_not_matter(values, scale, origin) -> None:
    moved = {
        v: {s: scale * x + origin for s, x in row.items()} for v, row in values.items()
    }
    one, two = compare(Layout(values)), compare(Layout(moved))
    for before, after in zip(one.results, two.results, strict=True):
        assert after.status is before.status
        if before.p_adjusted is not None:
            assert after.p_adjusted == pytest.approx(before.p_adjusted, abs=1e-6)
            assert after.matched_high == pytest.approx(
                scale * before.matched_high, abs=1e-6
            )


def test_an_average_is_never_less_certain_than_its_parts() -> None:
    generator = np.random.default_rng(6)
    for _ in range(300):
        k = int(generator.integers(4, 19))
        rows = rows_of(generator, k, int(generator.integers(2, 6)))
        layout = Layout.of_rows(rows, "auto" if generator.random() < 0.5 else "shared")
        parts = [pair("0", str(i)) for i in range(1, k)]
        if generator.random() < 0.5:
            parts = [pair(str(2 * i), str(2 * i + 1)) for i in range(k // 2)]
        *single, mean = compare(layout, [*parts, average(parts)]).results
        assert mean.estimate == pytest.approx(np.mean([one.estimate for one in single]))
        for low, high in (("low", "high"), ("matched_low", "matched_high")):
            lengths = [getattr(r, high) - getattr(r, low) for r in (*single, mean)]
            assert lengths[-1] <= max(lengths[:-1]) * (1 + 1e-9)


def test_the_interval_on_new_images_contains_that_on_these() -> None:
    generator = np.random.default_rng(7)
    for _ in range(40):
        correct = {
            str(v): generator.random((4, 100)) < generator.uniform(0.5, 1, 100)
            for v in range(3)
        }
        values = {v: dict(enumerate(x.mean(1).tolist())) for v, x in correct.items()}
        layout = Layout(values)
        these = compare(layout)
        new = compare(layout, images=lambda c, x=correct: image_error(c.weights, x))
        for a, b in zip(these.results, new.results, strict=True):
            check(b, new)
            assert b.images == 100
            assert b.low <= a.low + 1e-12 and a.high <= b.high + 1e-12


def test_no_spread_borrows_from_the_others() -> None:
    rows = [[1.0] * 3, [0.1] * 3, [0.90, 0.91, 0.92], [0.90, 0.92, 0.91]]
    family = compare(Layout.of_rows(rows))
    assert family.results[0].status is Status.BORROWED
    assert family.results[0].verdict is Verdict.HIGHER
    nothing = compare(Layout.of_rows(rows[:2])).results[0]
    assert (nothing.status, nothing.verdict) == (Status.NO_SPREAD, Verdict.UNDECIDED)


def test_one_unstable_variant_hides_nothing() -> None:
    """The lead of the review's section 1: 11 points among networks of sd below 1.3."""
    rows = [[72.8, 72.3, 72.7], [61.8, 59.9, 62.0], [60.8, 59.6, 59.2]]
    rows += [[23.9, 14.9, 24.0], [40.1, 21.0, 33.0], [21.0, 12.0, 28.0]]
    first, second, *_ = compare(Layout.of_rows(rows), margin=1).results
    assert first.verdict is second.verdict is Verdict.HIGHER


def test_learning_rates_of_the_users_study() -> None:
    """Without the two variants that have a stuck run, 41 points are shown."""
    rows = {
        "sgd .1": [0.566, 0.572, 0.606],
        "sgd .01": [0.496, 0.460, 0.536],
        "sgd .001": [0.194, 0.310, 0.182],
        "adam .001": [0.636, 0.648, 0.622],
        "adam .0001": [0.472, 0.394, 0.426],
        "adamw .001": [0.636, 0.646, 0.620],
        "adamw .0001": [0.470, 0.396, 0.430],
    }
    layout = Layout({v: dict(enumerate(row)) for v, row in rows.items()})
    results = compare(layout).results
    one = next(
        r for r in results if set(r.contrast.weights) == {"sgd .001", "adam .001"}
    )
    assert one.verdict is Verdict.LOWER
    assert sum(r.shown for r in results) >= 10


def test_a_contrast_needs_weights_that_add_up_to_zero() -> None:
    with pytest.raises(ValueError, match="must add up to 0"):
        Contrast({"a": 1.0, "b": -0.5})
    with pytest.raises(ValueError, match="finite"):
        Layout({"a": {0: float("nan")}})


def test_all_pairs_of_eighteen_variants_are_fast() -> None:
    rows = np.random.default_rng(8).normal(size=(18, 5))
    contrasts = [pair(str(a), str(b)) for a, b in combinations(range(18), 2)]
    start = time.process_time()
    compare(Layout.of_rows(rows), contrasts)
    # 0.09 s on a busy machine.
    assert time.process_time() - start < 1
