"""The figures that a study may name before there are any: columns of two tables."""

from labmill import registry
from labmill.study import Study

# The columns of history.csv.
HISTORY = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "learning_rate",
    "seconds",
    "images_per_second",
    "operations",
    "peak_memory_mb",
)
# Of one part of the split, in metrics.json.
SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "loss", "calibration_error")
OTHERS = (
    *("train_accuracy", "train_loss", "train_seconds", "train_operations", "epochs"),
    *("images_per_second", "peak_memory_mb", "parameters", "macs", "operations"),
    *("test_openings", "threads"),
)


def figures(study: Study) -> list[str]:
    """The columns of runs.csv that hold a number for every network as trained.

    Those by class are left out: `class_accuracy.<class>`.
    """
    parts = ("test", "validation")
    found = [f"{part}_{score}" for part in parts for score in SCORES]
    if registry.constant("data", study.data.dataset, "KIND") == "sequence":
        precisions = ("float32", "bfloat16", "float16")
        found += [f"{part}_exact_{bits}" for part in parts for bits in precisions]
    found += [f"{part}_n" for part in parts]
    for batch in study.measure.batches:
        found += [f"latency_ms_b{batch}{end}" for end in ("", "_q1", "_q3", "_n")]
    return [*found, *OTHERS]


def is_fraction(column: str) -> bool:
    """Whether a figure lies between 0 and 1."""
    words = ("accuracy", "f1", "calibration_error", "exact_")
    return any(word in column for word in words)
