"""Metrics against scikit-learn on random cases, and the cases where it has no answer."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from labmill.core.errors import LabmillError
from labmill.core.files import finite
from labmill.evaluation.metrics import (
    calibration_error,
    confusion,
    negative_log_likelihood,
    score,
    scores,
)

quick = settings(max_examples=80, deadline=None, derandomize=True)


@st.composite
def answers(draw):
    classes = draw(st.integers(2, 7))
    n = draw(st.integers(1, 60))
    generator = np.random.default_rng(draw(st.integers(0, 10_000)))
    # Few values a row, so that ties and absent classes are common.
    logits = generator.integers(-3, 4, (n, classes)) * draw(st.sampled_from([0.5, 40]))
    labels = generator.integers(0, draw(st.integers(1, classes)), n)
    return logits.astype(np.float32), labels


@quick
@given(answers())
def test_counts_agree_with_scikit_learn(case) -> None:
    logits, labels = case
    predictions, classes = logits.argmax(axis=1), logits.shape[1]
    names = range(classes)
    matrix = confusion(labels, predictions, classes)
    expected = reference.confusion_matrix(labels, predictions, labels=names)
    assert (matrix == expected).all()
    found = scores(matrix)
    precision, recall, f1, support = reference.precision_recall_fscore_support(
        labels, predictions, labels=names, zero_division=np.nan
    )
    assert found.recall == pytest.approx(tuple(recall), nan_ok=True)
    assert found.precision == pytest.approx(tuple(precision), nan_ok=True)
    assert found.f1 == pytest.approx(tuple(f1), nan_ok=True)
    assert found.support == tuple(support)
    assert found.accuracy == pytest.approx(
        reference.accuracy_score(labels, predictions)
    )
    occurring = np.union1d(labels, predictions)
    macro = reference.f1_score(
        labels, predictions, average="macro", labels=occurring, zero_division=0
    )
    assert found.macro_f1 == pytest.approx(macro)
    present = np.unique(labels)
    assert found.balanced_accuracy == pytest.approx(
        reference.recall_score(labels, predictions, average="macro", labels=present)
    )


@quick
@given(answers())
def test_probabilities_agree_with_scikit_learn(case) -> None:
    logits, labels = case
    logits = logits.astype(np.float64) / 20
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = np.arange(logits.shape[1])
    expected = reference.log_loss(labels, probabilities, labels=names)
    assert negative_log_likelihood(logits, labels) == pytest.approx(expected)


@quick
@given(answers(), st.integers(1, 20))
def test_calibration_error_is_its_definition(case, bins) -> None:
    logits, labels = case
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    confidence = (shifted / shifted.sum(axis=1, keepdims=True)).max(axis=1)
    right = logits.argmax(axis=1) == labels
    total = 0.0
    for b in range(bins):
        inside = (confidence * bins > b) & (confidence * bins <= b + 1)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            total += inside.mean() * gap
    found = calibration_error(logits, labels, bins=bins)
    # A confidence within rounding of a bin's edge may fall on either side.
    edges = np.abs(confidence * bins - np.round(confidence * bins)) < 1e-9
    assert found == pytest.approx(total, abs=1e-9 + edges.mean())


def test_calibration_error_of_known_cases() -> None:
    sure = np.array([[50.0, 0.0], [50.0, 0.0]])
    assert calibration_error(sure, [0, 0]) == pytest.approx(0, abs=1e-9)
    assert calibration_error(sure, [1, 1]) == pytest.approx(1)
    assert calibration_error(sure, [0, 1]) == pytest.approx(0.5)
    hedged = np.log([[0.75, 0.25]] * 4)
    assert calibration_error(hedged, [0, 0, 0, 1]) == pytest.approx(0, abs=1e-12)


def test_absent_classes_are_undefined_not_zero() -> None:
    # Class 2 has no images but is predicted once, class 3 is neither.
    found = scores(confusion([0, 0, 1, 1], [0, 2, 1, 1], 4))
    assert found.recall[:2] == (0.5, 1.0)
    assert math.isnan(found.recall[2]) and math.isnan(found.recall[3])
    assert found.precision[2] == 0 and math.isnan(found.precision[3])
    assert found.f1[2] == 0 and math.isnan(found.f1[3])
    assert found.balanced_accuracy == 0.75
    assert found.macro_f1 == pytest.approx((2 / 3 + 1 + 0) / 3)


@quick
@given(answers())
def test_all_metrics_in_one_json_object(case) -> None:
    logits, labels = case
    names = [str(number) for number in range(logits.shape[1])]
    found = score(logits, labels, names)
    assert json.loads(json.dumps(finite(found.model_dump()), allow_nan=False))
    assert found.n == len(labels) == np.sum(found.confusion)
    assert found.accuracy == (logits.argmax(axis=1) == labels).mean()


def test_huge_logits_do_not_overflow() -> None:
    found = score(np.array([[1e30, -1e30], [0, 1e4]]), [0, 0], ["a", "b"])
    assert found.loss == pytest.approx(5e3)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((2, 3)), [0, 3], r"0\.\.2.*0 to 3"),
        (np.zeros((2, 3)), [0, -1], "-1 to 0"),
        (np.zeros((2, 3)), [0.5, 1.0], "integers"),
        (np.zeros((2, 3)), [0], r"\(1,\).*\(2,\)"),
        (np.zeros(3), [0], r"\(N, classes\)"),
        (np.zeros((0, 3)), [], "at least one image"),
        (np.array([[np.nan, 0.0]]), [0], "1 of 1 images are not finite"),
    ],
)
def test_errors(logits, labels, message) -> None:
    with pytest.raises(LabmillError, match=message):
        score(logits, labels, ["a", "b", "c"])
