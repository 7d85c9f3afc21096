"""Numbers as the report writes them: never more digits than n supports.

Functions that tables use write a missing value as a dash.
"""

import math
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from labmill.study.metrics import metric

SPACE = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
DASH = "–"


P = ParamSpec("P")


def or_dash(
    write: Callable[Concatenate[float, P], str],
) -> Callable[Concatenate[float | None, P], str]:
    """Return `write` with a dash for None and for a float that is not a number."""

    @wraps(write)
    def written(value: float | None, *args: P.args, **kwargs: P.kwargs) -> str:
        if value is None or math.isnan(value):
            return DASH
        return write(value, *args, **kwargs)

    return written


def decimals(images: int, seeds: int) -> int:
    """Return the decimals of a percentage: one from a thousand predictions on.

    One image of n weighs 100/n points; a digit finer than that says nothing.
    """
    return 1 if images * seeds >= 1000 else 0


def fixed(value: float, digits: int) -> str:
    """Write that many decimals, with a real minus sign and no minus zero."""
    text = f"{value:.{digits}f}"
    negative = text.startswith("-") and float(text) != 0
    return (MINUS if negative else "") + text.lstrip("-")


@or_dash
def significant(value: float, digits: int = 3) -> str:
    """Write that many significant digits; large numbers in groups of three."""
    if value == 0 or not math.isfinite(value):
        return fixed(value, 0)
    places = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    text = f"{abs(rounded):,.{max(places, 0)}f}"
    return (MINUS if rounded < 0 else "") + text


@or_dash
def percent(value: float, digits: int = 1) -> str:
    """Write a fraction of 1 as a percentage: `97.3 %`."""
    return f"{fixed(100 * value, digits)}{SPACE}%"


def points(share: float, digits: int = 1) -> str:
    """Write the size of a difference of two fractions: `3.4 points`."""
    text = fixed(abs(100 * share), digits)
    if float(text) == 0 and share:
        text = f"less than {fixed(10.0**-digits, digits)}"
    return with_points(text)


def with_points(text: str) -> str:
    """Return a number of points with its unit: `1 point`, `−4 points`."""
    one = text.split(" ")[-1].lstrip(f"+{MINUS}") == "1"
    return f"{text}{SPACE}{'point' if one else 'points'}"


@or_dash
def change(share: float, digits: int = 1) -> str:
    """Write a difference of two fractions in points, with its sign and no unit."""
    text = fixed(100 * share, digits)
    return text if text.startswith(MINUS) or float(text) == 0 else f"+{text}"


@or_dash
def count(value: float) -> str:
    """Write a whole number in groups of three: `12,345`."""
    return f"{round(value):,}"


def large_count(value: float) -> str:
    """Write a whole number; from ten million on in words: `12.3 million`."""
    for size, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if value >= max(size, 1e7):
            return f"{significant(value / size)}{SPACE}{name}"
    return count(value)


@or_dash
def short(value: float) -> str:
    """Write a large number in three digits: `1.23 M`."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{SPACE}{unit}"
    return f"{value:.3g}"


@or_dash
def duration(value: float) -> str:
    """Write seconds in the units of a clock: `4.2 s`, `3 min 20 s`, `2 h 40 min`."""
    if value < 60:
        return f"{significant(value)}{SPACE}s"
    if value < 3600:
        return f"{int(value // 60)}{SPACE}min {round(value % 60)}{SPACE}s"
    return f"{int(value // 3600)}{SPACE}h {round(value % 3600 / 60)}{SPACE}min"


@or_dash
def milliseconds(value: float) -> str:
    """Write the time of a call: `0.220 ms`."""
    return f"{significant(value)}{SPACE}ms"


@or_dash
def decimal(value: float) -> str:
    """Write a plain number in three significant digits."""
    return f"{value:.3g}".replace("e-0", "e-").replace("-", MINUS)


# --- a metric's values -------------------------------------------------------------------

FORMATS: dict[str, Callable[[float | None], str]] = {
    "percent": percent,
    "duration": duration,
    "milliseconds": milliseconds,
    "count": count,
    "short": short,
    "decimal": decimal,
}


def format_of(column: str) -> Callable[[float | None], str]:
    """Return the function that writes values of a metric in tables."""
    return FORMATS[metric(column).format]


def quantity(value: float, unit: str, digits: int) -> str:
    """Write a metric's value in a sentence."""
    if unit == "%":
        return percent(value, digits)
    return duration(value) if unit == "s" else with_unit(significant(value), unit)


def amount(value: float, unit: str, digits: int) -> str:
    """Write the size of a difference of two values of a metric."""
    if unit == "%":
        return points(value, digits)
    return with_unit(significant(abs(value), 2), unit)


def signed(value: float, unit: str, digits: int) -> str:
    """Write a difference of two values of a metric, with its sign."""
    text = bare(value, unit, digits)
    return with_points(text) if unit == "%" else with_unit(text, unit)


def bare(value: float, unit: str, digits: int) -> str:
    """Write a difference of two values of a metric with its sign, without unit."""
    if unit == "%":
        return change(value, digits)
    text = significant(value, 2)
    return text if value <= 0 else f"+{text}"


def ends(low: float, high: float, unit: str, digits: int) -> str:
    """Write both ends of an interval of differences, without unit: `0.9 to 5.9`."""
    if unit == "%":
        return f"{fixed(100 * low, digits)} to {fixed(100 * high, digits)}"
    return f"{significant(low, 2)} to {significant(high, 2)}"


def interval(low: float | None, high: float | None, unit: str, digits: int = 1) -> str:
    """Write the 95 % interval of a difference, or that there is none."""
    if low is None or high is None:
        return f"no 95{SPACE}% interval"
    text = f"95{SPACE}% interval {ends(low, high, unit, digits)}"
    return with_unit(text, "points" if unit == "%" else unit)


def with_unit(text: str, unit: str) -> str:
    """Return a number with its unit, where it has one."""
    return f"{text}{SPACE}{unit}" if unit else text
