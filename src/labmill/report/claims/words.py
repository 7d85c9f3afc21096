"""Numbers and names as the report writes them: never more digits than n supports."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SPACE = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
# An underscore inside a word is no markup; elsewhere it is.
SPECIAL = re.compile(r"([\\`*{}\[\]<>#|~^$@&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
# All white space but the one that holds a number and its unit together.
BLANK = re.compile(rf"[^\S{SPACE}]+")
COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Metric:
    """A column of runs.csv in words; `unit` is `%` for fractions of 1."""

    words: str
    unit: str = ""


METRICS = {
    "test_accuracy": Metric("test accuracy", "%"),
    "test_balanced_accuracy": Metric("balanced test accuracy", "%"),
    "test_macro_f1": Metric("macro F1 on the test images", "%"),
    "test_calibration_error": Metric("calibration error on the test images", "%"),
    "test_loss": Metric("test loss"),
    "validation_accuracy": Metric("validation accuracy", "%"),
    "validation_macro_f1": Metric("macro F1 on the validation images", "%"),
    "validation_loss": Metric("validation loss"),
    "train_accuracy": Metric("training accuracy", "%"),
    "train_loss": Metric("training loss"),
    "train_seconds": Metric("training time", "s"),
    "epochs": Metric("number of epochs"),
    "parameters": Metric("number of parameters"),
    "macs": Metric("number of multiply-adds per image"),
    "operations": Metric("number of operations per image"),
}


def metric(column: str) -> Metric:
    """A column's words; an unlisted column is its own name."""
    return METRICS.get(column, Metric(f"`{column}`"))


def escape(text: object) -> str:
    """Any text as Markdown that shows it, on one line, and does nothing else."""
    return SPECIAL.sub(r"\\\1", BLANK.sub(" ", str(text)).strip())


def unescaped(text: str) -> str:
    """Markdown of `escape` as the text it shows."""
    return re.sub(r"\\([^\w\s])", r"\1", text)


def named(name: object) -> str:
    """A name that the user chose, in a sentence of Markdown."""
    return quoted(escape(name))


def quoted(text: str) -> str:
    """A name in a sentence: in quotation marks where it has several words."""
    return f"“{text}”" if " " in text or "," in text else text


def decimals(images: int, seeds: int) -> int:
    """Decimals of a percentage: one where a thousand predictions stand behind it.

    One image of n weighs 100/n points; a digit finer than that says nothing.
    """
    return 1 if images * seeds >= 1000 else 0


def percent(share: float, digits: int) -> str:
    """A fraction of 1 as a percentage."""
    return f"{fixed(100 * share, digits)}{SPACE}%"


def points(share: float, digits: int) -> str:
    """The size of a difference of two fractions, in percentage points."""
    text = fixed(abs(100 * share), digits)
    if float(text) == 0 and share:
        text = f"less than {fixed(10.0**-digits, digits)}"
    return f"{text}{SPACE}{'point' if text.endswith(' 1') or text == '1' else 'points'}"


def fixed(value: float, digits: int) -> str:
    """A number with that many decimals, a real minus sign, and no minus zero."""
    text = f"{value:.{digits}f}"
    negative = text.startswith("-") and float(text) != 0
    return (MINUS if negative else "") + text.lstrip("-")


def significant(value: float, digits: int = 3) -> str:
    """A number with that many significant digits; large ones in groups of three."""
    if value == 0 or not math.isfinite(value):
        return fixed(value, 0)
    places = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    text = f"{abs(rounded):,.{max(places, 0)}f}"
    return (MINUS if rounded < 0 else "") + text


def count(value: float) -> str:
    """A whole number in groups of three; from ten millions on in words."""
    for size, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if value >= max(size, 1e7):
            return f"{significant(value / size)}{SPACE}{name}"
    return f"{round(value):,}"


def quantity(value: float, unit: str, digits: int) -> str:
    """A value of a metric."""
    if unit == "%":
        return percent(value, digits)
    return significant(value) + (SPACE + unit if unit else "")


def amount(value: float, unit: str, digits: int) -> str:
    """The size of a difference of two values of a metric."""
    if unit == "%":
        return points(value, digits)
    return significant(abs(value), 2) + (SPACE + unit if unit else "")


def signed(value: float, unit: str, digits: int) -> str:
    """A difference of two values of a metric, with its sign."""
    if unit == "%":
        text = fixed(100 * value, digits)
        text = text if text.startswith(MINUS) or float(text) == 0 else f"+{text}"
        return f"{text}{SPACE}points"
    text = significant(value, 2)
    text = text if value <= 0 else f"+{text}"
    return text + (SPACE + unit if unit else "")


def interval(low: float | None, high: float | None, unit: str, digits: int) -> str:
    """The 95 % interval of a difference, or a word that there is none."""
    if low is None or high is None:
        return f"no 95{SPACE}% interval, as all seeds differ by the same"
    if unit == "%":
        ends = (fixed(100 * low, digits), fixed(100 * high, digits))
        return f"95{SPACE}% interval {ends[0]} to {ends[1]}{SPACE}points"
    ends = (significant(low, 2), significant(high, 2))
    return f"95{SPACE}% interval {ends[0]} to {ends[1]}" + (
        SPACE + unit if unit else ""
    )


def p_value(p: float) -> str:
    """A p value to two digits."""
    if p < 0.001:
        return f"p{SPACE}<{SPACE}0.001"
    return f"p{SPACE}={SPACE}{p:.3f}" if p < 0.1 else f"p{SPACE}={SPACE}{p:.2f}"


def number_of(n: int, noun: str) -> str:
    """`3 seeds`, `1 seed`."""
    return f"{n:,}{SPACE}{noun}{'' if n == 1 else 's'}"


def span(values: Iterable[int]) -> str:
    """`4`, or `4 to 6` where not all are the same."""
    low, *_, high = sorted([*values] * 2)
    return str(low) if low == high else f"{low} to {high}"


def averaged(n: int) -> str:
    """`mean of 3 seeds`, `1 seed`."""
    return f"mean of {number_of(n, 'seed')}" if n > 1 else number_of(n, "seed")


def spelled(n: int) -> str:
    """Small numbers as words."""
    return COUNTS[n] if 0 <= n < len(COUNTS) else f"{n:,}"


def listed(names: Sequence[str] | Iterable[str], most: int = 6) -> str:
    """`a, b and c`; beyond `most` names the rest is counted."""
    names = list(names)
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} others"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
