"""Figures of curves, on curves whose figures are known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labmill.errors import LabmillError
from labmill.search.curves import (
    curve,
    generalisation_gap,
    oscillation,
    slope,
    swing,
)

VALUES = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30)


@given(VALUES)
def test_oscillation_is_a_share_and_zero_for_what_only_falls_or_rises(values):
    assert -1e-9 <= oscillation(values) <= 1
    assert oscillation(sorted(values)) == pytest.approx(0, abs=1e-9)
    assert oscillation(sorted(values, reverse=True)) == pytest.approx(0, abs=1e-9)


def test_oscillation_of_known_curves():
    assert oscillation([1, 0, 1, 0, 1]) == 1
    assert oscillation([4, 2, 3, 1, 2, 0]) == pytest.approx(1 - 4 / 8)
    assert math.isnan(oscillation([1.0]))


def test_swing_is_the_deviation_of_noise_on_a_line():
    noise = np.random.default_rng(0).normal(0, 0.2, 4000)
    line = np.linspace(5, -3, 4000)
    assert swing(line) == pytest.approx(0, abs=1e-12)
    assert swing(line + noise) == pytest.approx(0.2, rel=0.05)


@given(st.floats(-10, 10), st.floats(-10, 10), st.integers(3, 20))
def test_slope_of_a_line(rise, level, n):
    x = np.arange(n) * 2.0
    found = slope(x, level + rise * x)
    assert found.estimate == pytest.approx(rise, abs=1e-9)


def test_slope_says_what_the_interval_allows():
    x = np.arange(20.0)
    noise = np.random.default_rng(1).normal(0, 0.01, 20)
    assert slope(x, 1 - 0.1 * x + noise).verdict == "falls"
    assert slope(x, 0.1 * x + noise).verdict == "rises"
    assert slope(x, noise).verdict == "level"
    bent = np.where(x < 10, 1 - 0.1 * x, 0.0) + noise
    assert slope(x, bent).verdict == "falls"
    assert slope(x, bent, last=0.5).verdict == "level"
    assert math.isnan(slope([1, 2], [1, 2]).estimate)


def history(train, validation):
    return [
        {
            "epoch": str(epoch),
            "train_loss": str(t),
            "train_accuracy": str(1 - t / 2),
            "validation_loss": str(v),
            "validation_accuracy": "" if v == "" else str(1 - v / 2),
        }
        for epoch, (t, v) in enumerate(zip(train, validation, strict=True), 1)
    ]


def test_the_gap_of_an_overfitted_run():
    rows = history([0.9, 0.5, 0.3, 0.1, 0.05], [0.8, 0.6, "", 0.7, 0.9])
    gap = generalisation_gap(rows)
    assert gap.loss == pytest.approx(0.85)
    assert gap.accuracy == pytest.approx(0.425)
    assert gap.best_epoch == 2
    assert gap.rise == pytest.approx(0.3)
    assert gap.overfits
    assert not generalisation_gap(history([0.9, 0.6], [0.8, 0.5])).overfits
    assert generalisation_gap(history([0.9], [""])) is None


def test_a_curve_leaves_out_what_was_not_measured():
    rows = history([0.9, 0.5, 0.3], [0.8, "", math.nan])
    x, y = curve(rows, "validation_loss")
    assert x.tolist() == [1]
    assert y.tolist() == [0.8]
    with pytest.raises(LabmillError, match="did you mean 'train_loss'"):
        curve(rows, "trainloss")
