"""The catalogue of metrics: name, title, words, unit and format of every number.

A metric is a column of runs.csv. A new one is one line of the table here. Reports take
titles, formats and directions from it; studies are checked against its names.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from labmill.core import registry
from labmill.study.schema import Study

Format = Literal["percent", "duration", "milliseconds", "count", "short", "decimal"]
Better = Literal["higher", "lower", ""]


@dataclass(frozen=True)
class Kind:
    """A unit and how numbers in it are written."""

    unit: str  # `%` for fractions of 1
    format: Format  # name of the formatting function in the report


SHARE = Kind("%", "percent")
TIME = Kind("s", "duration")
CALL = Kind("ms", "milliseconds")
COUNT = Kind("", "count")
LARGE = Kind("", "short")
MEMORY = Kind("MB", "decimal")
NUMBER = Kind("", "decimal")


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        phrase: the metric inside a sentence; the title in small letters where empty.
    """

    name: str  # column of runs.csv
    title: str  # heading of a table's column, label of an axis
    kind: Kind = NUMBER  # unit and format
    better: Better = ""  # which direction is an improvement; empty where neither is
    phrase: str = ""

    @property
    def words(self) -> str:
        """The metric inside a sentence."""
        return self.phrase or self.title[:1].lower() + self.title[1:]

    @property
    def unit(self) -> str:
        return self.kind.unit

    @property
    def format(self) -> Format:
        return self.kind.format


UP: Better = "higher"
DOWN: Better = "lower"

# fmt: off
# Of every network as trained.
OF_RUNS = (
    Metric("test_accuracy", "Test accuracy", SHARE, UP),
    Metric("test_balanced_accuracy", "Test balanced accuracy", SHARE, UP, "balanced test accuracy"),
    Metric("test_macro_f1", "Test macro F1", SHARE, UP, "macro F1 on the test images"),
    Metric("test_loss", "Test loss", NUMBER, DOWN),
    Metric("test_calibration_error", "Test calibration error", SHARE, DOWN, "calibration error on the test images"),
    Metric("test_n", "Test images", COUNT),
    Metric("validation_accuracy", "Validation accuracy", SHARE, UP),
    Metric("validation_balanced_accuracy", "Validation balanced accuracy", SHARE, UP, "balanced validation accuracy"),
    Metric("validation_macro_f1", "Validation macro F1", SHARE, UP, "macro F1 on the validation images"),
    Metric("validation_loss", "Validation loss", NUMBER, DOWN),
    Metric("validation_calibration_error", "Validation calibration error", SHARE, DOWN, "calibration error on the validation images"),
    Metric("validation_n", "Validation images", COUNT),
    Metric("train_accuracy", "Training accuracy", SHARE, UP),
    Metric("train_loss", "Training loss", NUMBER, DOWN),
    Metric("train_seconds", "Training time", TIME, DOWN),
    Metric("train_operations", "Training operations", LARGE, DOWN),
    Metric("epochs", "Epochs", COUNT, DOWN, "number of epochs"),
    Metric("images_per_second", "Images per second", NUMBER, UP),
    Metric("peak_memory_mb", "Peak memory", MEMORY, DOWN),
    Metric("parameters", "Parameters", COUNT, DOWN, "number of parameters"),
    Metric("macs", "Multiply–adds", LARGE, DOWN, "number of multiply-adds per image"),
    Metric("operations", "Operations per image", LARGE, DOWN, "number of operations per image"),
    Metric("test_openings", "Test set opened", COUNT),
    Metric("threads", "Threads", COUNT),
)
# Of networks that read sequences: the share of rows that are exact at a precision.
OF_SEQUENCES = (
    Metric("test_exact_float32", "Test rows exact (float32)", SHARE, UP),
    Metric("test_exact_bfloat16", "Test rows exact (bfloat16)", SHARE, UP),
    Metric("test_exact_float16", "Test rows exact (float16)", SHARE, UP),
    Metric("validation_exact_float32", "Validation rows exact (float32)", SHARE, UP),
    Metric("validation_exact_bfloat16", "Validation rows exact (bfloat16)", SHARE, UP),
    Metric("validation_exact_float16", "Validation rows exact (float16)", SHARE, UP),
)
# Columns of other tables and of pruned networks.
OTHERS = (
    Metric("accuracy", "Accuracy", SHARE, UP),
    Metric("class_accuracy", "Class-wise accuracy", SHARE, UP, "accuracy of a class"),
    Metric("before", "Before pruning", SHARE, UP),
    Metric("after_pruning", "After pruning", SHARE, UP),
    Metric("finetuned", "After fine-tuning", SHARE, UP),
    Metric("dense_macs", "Multiply–adds before pruning", LARGE, DOWN),
    Metric("latency_ms", "Latency", CALL, DOWN),
    Metric("seconds", "Seconds", TIME, DOWN),
)
# fmt: on
METRICS = {metric.name: metric for metric in (*OF_RUNS, *OF_SEQUENCES, *OTHERS)}
# The columns of history.csv: one row per epoch.
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

# Counted, or timed on a machine that does other work too: what varies is not the recipe.
COUNTED = ("parameters", "macs", "operations", "train_operations", "epochs")
TIMED = ("train_seconds", "images_per_second", "peak_memory_mb", "latency")

# What a search's points spend (`search.<name>.select.cost`) → the metric it is.
SEARCH_COSTS = {
    "seconds": METRICS["train_seconds"],
    "operations": METRICS["train_operations"],
    "parameters": METRICS["parameters"],
}
LATENCY = re.compile(r"latency_ms_b(\d+)(_q1|_q3|_n)?")
QUARTILES = {"": "", "_q1": ", first quartile", "_q3": ", third quartile"}


def metric(name: str) -> Metric:
    """Return a metric by the name of its column.

    Latencies and accuracies by class are families: `latency_ms_b32`,
    `class_accuracy.<class>`. An unknown column is a plain number.
    """
    if name in METRICS:
        return METRICS[name]
    if match := LATENCY.fullmatch(name):
        batch, end = match[1], match[2] or ""
        if end == "_n":
            return Metric(name, f"Timed calls, batch {batch}", COUNT)
        return Metric(name, f"Latency, batch {batch}{QUARTILES[end]}", CALL, DOWN)
    part, _, extra = name.partition("_")
    if part in ("test", "validation") and extra in registry.names("metrics"):
        return further_metric(part, extra)
    family, _, member = name.partition(".")
    if family == "class_accuracy":
        return Metric(name, f"Accuracy of class {member}", SHARE, UP)
    title = name.replace("_", " ").capitalize()
    return Metric(name, title, phrase=f"`{name}`")


def metrics_of(asked: str | Sequence[str]) -> tuple[str, ...]:
    """Return the metrics of a question (`compare.<name>.metric`), the first one first."""
    return (asked,) if isinstance(asked, str) else tuple(asked)


def further_metric(part: str, name: str) -> Metric:
    """Return a metric of stored predictions that a study asks for, on a part."""
    facts = registry.constants("metrics", name)
    title = facts.get("TITLE", name.replace("_", " "))
    better = facts.get("BETTER", "higher")
    return Metric(
        f"{part}_{name}",
        f"{part.capitalize()} {title}",
        SHARE if facts.get("UNIT") == "%" else NUMBER,
        better if better in ("higher", "lower") else "",
        f"{title} on the {part} images",
    )


def metric_names(study: Study) -> list[str]:
    """Return the columns of runs.csv that hold a number for every trained network.

    Those by class are left out: `class_accuracy.<class>`.
    """
    found = [metric.name for metric in OF_RUNS]
    if registry.constant("data/datasets", study.data.dataset, "KIND") == "sequence":
        found += [metric.name for metric in OF_SEQUENCES]
    for part in ("test", "validation"):
        found += [f"{part}_{name}" for name in study.metrics]
    for batch in study.measure.batches:
        found += [f"latency_ms_b{batch}{end}" for end in ("", "_q1", "_q3", "_n")]
    return found


def untestable(name: str) -> bool:
    """Return True for counts and times, which are printed side by side."""
    return name in COUNTED or name.startswith(TIMED)


def is_fraction(name: str) -> bool:
    """Return True if a metric lies between 0 and 1."""
    return metric(name).unit == "%"
