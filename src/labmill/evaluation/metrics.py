"""Classification metrics, all counts from one confusion matrix.

A class that cannot be judged is NaN, never 0: recall of a class without images,
precision of a class never predicted, F1 of a class that is neither. Means over classes
leave out what is undefined: balanced accuracy averages recall over the classes that
have images, macro F1 averages over the classes that occur as label or as prediction
(scikit-learn's defaults). `labmill.core.files.write_json` turns NaN into null.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax

from labmill.core.errors import LabmillError
from labmill.evaluation.records import PartScores

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Metrics of one confusion matrix; fractions in 0..1, per-class ones by index."""

    images: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    recall: tuple[float, ...]
    precision: tuple[float, ...]
    f1: tuple[float, ...]
    support: tuple[int, ...]


def confusion(labels: ArrayLike, predictions: ArrayLike, classes: int) -> Ints:
    """Count how often label i (row) was predicted as j (column), int64.

    Raises LabmillError when the two differ in length, are empty, or hold anything but
    0..classes-1.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    _check_labels(labels, classes, rows=len(predictions))
    _check_labels(predictions, classes, rows=len(labels), what="predictions")
    cells = labels.astype(np.int64) * classes + predictions
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def scores(matrix: Ints) -> Scores:
    """Return the metrics of a confusion matrix (rows are labels, columns predictions)."""
    matrix = np.asarray(matrix)
    hits, support, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    recall, precision = _ratio(hits, support), _ratio(hits, predicted)
    f1 = _ratio(2 * hits, support + predicted)
    return Scores(
        images=int(matrix.sum()),
        accuracy=float(hits.sum() / matrix.sum()),
        balanced_accuracy=float(np.nanmean(recall)),
        macro_f1=float(np.nanmean(f1)),
        recall=tuple(recall.tolist()),
        precision=tuple(precision.tolist()),
        f1=tuple(f1.tolist()),
        support=tuple(support.tolist()),
    )


def negative_log_likelihood(logits: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean cross-entropy in nats of logits (N, classes)."""
    logits, labels = _checked(logits, labels)
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def calibration_error(logits: ArrayLike, labels: ArrayLike, *, bins: int = 15) -> float:
    """Return the expected calibration error (Guo et al., 2017, eq. 3).

    Images fall into `bins` equal intervals (low, high] of confidence; the gaps between
    accuracy and mean confidence are averaged, weighted by images.
    """
    logits, labels = _checked(logits, labels)
    confidence = np.exp(log_softmax(logits, axis=1).max(axis=1))
    correct = logits.argmax(axis=1) == labels
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(index, weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def score(logits: ArrayLike, labels: ArrayLike, classes: list[str]) -> PartScores:
    """Return all metrics of logits (N, classes) against labels (N,)."""
    logits, labels = _checked(logits, labels)
    matrix = confusion(labels, logits.argmax(axis=1), logits.shape[1])
    counted = scores(matrix)
    return PartScores(
        n=counted.images,
        accuracy=counted.accuracy,
        balanced_accuracy=counted.balanced_accuracy,
        macro_f1=counted.macro_f1,
        loss=negative_log_likelihood(logits, labels),
        calibration_error=calibration_error(logits, labels),
        class_accuracy=dict(zip(classes, counted.recall, strict=True)),
        class_f1=dict(zip(classes, counted.f1, strict=True)),
        confusion=matrix.tolist(),
    )


def _ratio(numerator: Ints, denominator: Ints) -> Floats:
    undefined = np.full(len(numerator), np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator > 0)


def _checked(logits: ArrayLike, labels: ArrayLike) -> tuple[Floats, Ints]:
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if logits.ndim != 2:
        raise LabmillError(f"logits must be (N, classes), not of shape {logits.shape}")
    _check_labels(labels, logits.shape[1], rows=len(logits))
    if not np.isfinite(logits).all():
        broken = int((~np.isfinite(logits)).any(axis=1).sum())
        raise LabmillError(f"logits of {broken} of {len(logits)} images are not finite")
    return logits, labels.astype(np.int64)


def _check_labels(
    labels: Ints, classes: int, *, rows: int, what: str = "labels"
) -> None:
    if labels.shape != (rows,) or not rows:
        raise LabmillError(
            f"{what} have shape {labels.shape}; expected one per image, ({rows},), "
            "and at least one image"
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= classes:
        raise LabmillError(
            f"{what} must be integers in 0..{classes - 1}, found {labels.dtype} from "
            f"{labels.min()} to {labels.max()}"
        )
