"""Verdicts, needed seeds, non-inferiority, single runs, images and splits."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower

from labmill.stats.images import from_differences, image_error
from labmill.stats.layout import Layout, pair
from labmill.stats.margins import Verdict, non_inferiority, seeds_to_decide, verdict
from labmill.stats.runs import Untrained, against_published, untrained
from labmill.stats.significance import mean_over_seeds


@pytest.mark.parametrize(
    ("low", "high", "shown", "expected"),
    [
        (0.02, 0.04, True, Verdict.HIGHER),
        (-0.04, -0.005, True, Verdict.LOWER),
        (0.002, 0.006, True, Verdict.PRACTICALLY_EQUAL),
        (-0.006, 0.006, False, Verdict.PRACTICALLY_EQUAL),
        (-0.02, 0.006, False, Verdict.UNDECIDED),
        (None, None, False, Verdict.UNDECIDED),
    ],
)
def test_verdict(low, high, shown, expected) -> None:
    assert verdict(low, high, margin=0.01, shown=shown) is expected


def test_seeds_to_decide_agrees_with_the_power_of_the_t_test() -> None:
    found = seeds_to_decide(1.0, error=1.0, freedom=4, n=3, margin=0.0)
    # Two groups, sd = √(3/2): the standardised difference is 0.816.
    exact = TTestIndPower().solve_power(
        effect_size=(2 / 3) ** 0.5, power=0.8, alpha=0.05
    )
    assert found == pytest.approx(exact, abs=2)


def test_seeds_to_decide_between_nothing_and_too_many() -> None:
    keys = {"error": 0.01, "freedom": 4, "n": 3}
    assert seeds_to_decide(0.0, margin=0.01, **keys) is not None
    assert seeds_to_decide(0.0, margin=0.0001, **keys) is None
    assert seeds_to_decide(0.01, margin=0.01, constant=1.0, **keys) is None


def test_non_inferiority_agrees_with_scipy() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(0, 0.01, 6), generator.normal(0, 0.01, 6)
    welch = stats.ttest_ind(a + 0.01, b, equal_var=False, alternative="greater")
    error = float(((a.var(ddof=1) + b.var(ddof=1)) / 6) ** 0.5)
    found = non_inferiority(
        float(a.mean() - b.mean()), error=error, freedom=float(welch.df), n=6
    )
    assert found.p == pytest.approx(welch.pvalue)
    assert found.accepted == (welch.pvalue < 0.05)


def test_non_inferiority_of_the_review() -> None:
    """Margin 1 point, sd of differences 1.67, n = 6: 35 % one-sided at 5 %."""
    found = non_inferiority(0.0, error=1.67 / 6**0.5, freedom=5, n=6, margin=1.0)
    assert found.power == pytest.approx(0.35, abs=0.02)
    stricter = non_inferiority(
        0.0, error=1.67 / 6**0.5, freedom=5, n=6, margin=1.0, alpha=0.025
    )
    assert stricter.power == pytest.approx(0.22, abs=0.02)
    assert stricter.seeds == pytest.approx(24, abs=1)


def test_published_value_is_one_run() -> None:
    found = against_published([0.981, 0.979, 0.980], 0.971)
    error = 0.001 * (4 / 3) ** 0.5
    assert found.p == pytest.approx(2 * stats.t.sf(0.009 / error, 2))
    assert against_published([0.98], 0.97).p is None
    assert against_published([0.98, 0.98], 0.97).p is None


def test_untrained_runs() -> None:
    one_answer = np.zeros((10, 10), dtype=int)
    one_answer[:, 3] = 50
    assert untrained(one_answer).untrained is Untrained.GUESSING
    trained = np.full((10, 10), 2) + 40 * np.eye(10, dtype=int)
    assert untrained(trained).untrained is None
    few = np.zeros((10, 10), dtype=int)
    few[:, 0] = few[:, 1] = few[:, 2] = 10
    few[0], few[1], few[2] = 0, 0, 0
    few[0, 0] = few[1, 1] = few[2, 2] = 50
    found = untrained(few)
    assert (found.predicted, found.untrained) == (3, Untrained.FEW_CLASSES)
    with pytest.raises(ValueError, match="square"):
        untrained(np.ones((2, 3)))


def test_two_classes_are_enough_to_predict() -> None:
    assert untrained([[45, 5], [5, 45]]).untrained is None
    assert untrained([[50, 0], [50, 0]]).untrained is Untrained.GUESSING


def test_image_error_of_one_seed_is_that_of_the_differences() -> None:
    generator = np.random.default_rng(1)
    correct = {v: generator.random((1, 200)) < 0.9 for v in "ab"}
    found = image_error({"a": 1.0, "b": -1.0}, correct)
    plain = from_differences(correct["a"][0].astype(float) - correct["b"][0])
    assert found == plain
    assert found.freedom == 199


def test_interaction_counts_once() -> None:
    """Where only chance of seed and image matters, images add nothing on average."""
    generator = np.random.default_rng(2)
    variances = []
    for _ in range(100):
        correct = {v: generator.random((4, 400)) < 0.8 for v in "ab"}
        variances.append(image_error({"a": 1.0, "b": -1.0}, correct).variance)
    assert np.mean(variances) < 0.1 * 2 * 0.16 / 4 / 400


def test_a_split_for_each_seed_is_nadeau_and_bengio() -> None:
    differences = np.array([1.0, 2.0, 4.0, 2.0])
    values = {"a": dict(enumerate(differences + 5)), "b": dict.fromkeys(range(4), 5.0)}
    found = Layout(values, seeds="shared", overlap=0.25).spread(pair("a", "b"))
    assert found is not None
    paired = differences.var(ddof=1) * (1 / 4 + 0.25), 3.0
    assert any(test == pytest.approx(paired) for test in found.own)
    mean = mean_over_seeds(differences, overlap=0.25)
    half = stats.t.ppf(0.975, 3) * differences.std(ddof=1) * (1 / 4 + 0.25) ** 0.5
    assert (mean.low, mean.high) == pytest.approx((2.25 - half, 2.25 + half))
