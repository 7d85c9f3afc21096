"""Figures of curves, on curves whose figures are known."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labmill.core.errors import LabmillError
from labmill.search.curves import curve, generalisation_gap, oscillation

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


def test_a_validation_loss_that_rose_again():
    rows = history([0.9, 0.5, 0.3, 0.1, 0.05], [0.8, 0.6, "", 0.7, 0.9])
    gap = generalisation_gap(rows)
    assert (gap.best_epoch, gap.last_epoch) == (2, 5)
    assert (gap.train_then, gap.train_end) == (0.5, 0.05)
    assert gap.rise == pytest.approx(0.3)
    assert gap.rose
    assert not generalisation_gap(history([0.9, 0.6, 0.5], [0.8, 0.5, 0.54])).rose
    assert generalisation_gap(history([0.9], [""])) is None


def test_a_curve_leaves_out_what_was_not_measured():
    rows = history([0.9, 0.5, 0.3], [0.8, "", math.nan])
    x, y = curve(rows, "validation_loss")
    assert x.tolist() == [1]
    assert y.tolist() == [0.8]
    with pytest.raises(LabmillError, match="did you mean 'train_loss'"):
        curve(rows, "trainloss")
