"""Words and numbers as Markdown that cannot be read as anything else."""

import math
import re
from collections.abc import Iterable
from typing import Any

from labmill.report.claims import words

NBSP = "\u00a0"


class Markdown(str):
    """Text that is Markdown already; everything else is escaped on output."""

    __slots__ = ()


def escape(text: object) -> Markdown:
    """Any text as Markdown that shows exactly that text, on one line."""
    if isinstance(text, Markdown):
        return text
    # "1." at the start of a line would begin a list.
    return Markdown(re.sub(r"^(\d+)\.", r"\1\.", words.escape(text)))


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as percent: `97.3 %`."""
    return "–" if missing(value) else words.percent(value, digits)


def points(value: float | None, digits: int = 1) -> str:
    """A difference of fractions in percentage points, with its sign."""
    if missing(value):
        return "–"
    text = words.fixed(100 * value, digits)
    return text if text.startswith(words.MINUS) or float(text) == 0 else f"+{text}"


def count(value: float | None) -> str:
    """A whole number with thousands separated: `12,345`."""
    return "–" if missing(value) else f"{round(value):,}"


def short(value: float | None) -> str:
    """A large number in three figures: `1.23 M`."""
    if missing(value):
        return "–"
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{NBSP}{unit}"
    return f"{value:.3g}"


def duration(value: float | None) -> str:
    """Seconds as a person says them: `4.2 s`, `3 min 20 s`, `2 h 40 min`."""
    if missing(value):
        return "–"
    if value < 60:
        return f"{words.significant(value)}{NBSP}s"
    if value < 3600:
        return f"{int(value // 60)}{NBSP}min {round(value % 60)}{NBSP}s"
    return f"{int(value // 3600)}{NBSP}h {round(value % 3600 / 60)}{NBSP}min"


def decimal(value: float | None) -> str:
    """A plain number in three significant figures."""
    if missing(value):
        return "–"
    return f"{value:.3g}".replace("e-0", "e-").replace("-", "−")


def milliseconds(value: float | None) -> str:
    """A time of a call in three figures, without its unit: `0.220`."""
    return "–" if missing(value) else words.significant(value)


def missing(value: Any) -> bool:
    """None, or not a number."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def format_for(column: str) -> Any:
    """How a column of runs.csv is written."""
    if column.endswith(("accuracy", "f1", "calibration_error")):
        return percent
    if column.endswith("seconds"):
        return duration
    if "_ms" in column:
        return lambda v: "–" if missing(v) else f"{milliseconds(v)}{NBSP}ms"
    if column in ("parameters", "epochs") or column.endswith("_bytes"):
        return count
    if column in ("macs", "operations", "train_operations"):
        return short
    return decimal


TITLES = {
    "test_accuracy": "Test accuracy",
    "test_macro_f1": "Test macro F1",
    "test_loss": "Test loss",
    "test_balanced_accuracy": "Test balanced accuracy",
    "validation_accuracy": "Validation accuracy",
    "validation_loss": "Validation loss",
    "train_accuracy": "Training accuracy",
    "train_loss": "Training loss",
    "train_seconds": "Training time",
    "seconds": "Seconds",
    "parameters": "Parameters",
    "macs": "Multiply–adds",
    "operations": "Operations per image",
    "train_operations": "Training operations",
    "latency_ms_b1": "Latency, batch 1",
    "class_accuracy": "Class-wise accuracy",
}


def title(column: str) -> str:
    """A column of runs.csv in words."""
    return TITLES.get(column) or column.replace("_", " ").capitalize()


def setting(value: Any) -> str:
    """A setting's value as a person writes it."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}".replace("e-0", "e-")
        case list() | tuple():
            return ", ".join(setting(item) for item in value)
        case dict():
            return ", ".join(f"{k} {setting(v)}" for k, v in value.items() if v)
        case _:
            return str(value)


def ordered(values: Iterable[str]) -> list[str]:
    """Settings as text in the order of their numbers, words after numbers."""

    def key(text: str) -> tuple[int, float, str]:
        try:
            return 0, float(text), text
        except ValueError:
            return 1, 0.0, text

    return sorted(values, key=key)
