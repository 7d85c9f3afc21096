"""Names and lists as Markdown that cannot be read as anything else."""

import re
from collections.abc import Iterable

from labmill.report.number_format import DASH, SPACE

# An underscore inside a word is no markup; elsewhere it is.
SPECIAL = re.compile(r"([\\`*{}\[\]<>#|~^$@&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
# All white space but the one that holds a number and its unit together.
BLANK = re.compile(rf"[^\S{SPACE}]+")
COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Markdown(str):
    """Text that is Markdown already; everything else is escaped on output."""

    __slots__ = ()


def escape(text: object) -> Markdown:
    """Return any text as Markdown that shows exactly that text, on one line."""
    if isinstance(text, Markdown):
        return text
    # "1." at the start of a line would begin a list.
    return Markdown(re.sub(r"^(\d+)\.", r"\1\.", plain(text)))


def plain(text: object) -> str:
    """Return any text as Markdown that shows it inside a line."""
    return SPECIAL.sub(r"\\\1", BLANK.sub(" ", str(text)).strip())


def unescaped(text: str) -> str:
    """Return Markdown of `escape` as the text it shows."""
    return re.sub(r"\\([^\w\s])", r"\1", text)


def named(name: object) -> str:
    """Return a name that the user chose for a sentence of Markdown."""
    return quoted(plain(name))


def spaced(key: str) -> str:
    """Return a key of the study in words."""
    return key.replace("_", " ")


def anchor(name: str) -> str:
    """Return a section's name as the end of a link's target."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def quoted(text: str) -> str:
    """Return a name in quotation marks where it has several words."""
    return f"“{text}”" if " " in text or "," in text else text


def number_of(n: int, noun: str) -> str:
    """Return `3 seeds`, `1 seed`."""
    return f"{n:,}{SPACE}{noun if n == 1 else plural(noun)}"


def all_of(n: int, noun: str) -> str:
    """Return `the only class`, `both classes`, `all 10 classes`."""
    words = {1: f"the only {noun}", 2: f"both {plural(noun)}"}
    return words.get(n, f"all {number_of(n, noun)}")


def plural(noun: str) -> str:
    """Return a noun for several: `seeds`, `classes`, `searches`."""
    return f"{noun}{'es' if noun.endswith(('s', 'rch', 'tch')) else 's'}"


def averaged(n: int) -> str:
    """Return `mean of 3 seeds`, `1 seed`."""
    return f"mean of {number_of(n, 'seed')}" if n > 1 else number_of(n, "seed")


def span(values: Iterable[int]) -> str:
    """Return `4`, or `4 to 6` where values differ."""
    low, *_, high = sorted([*values] * 2)
    return str(low) if low == high else f"{low} to {high}"


def spelled(n: int) -> str:
    """Return a small number as a word."""
    return COUNTS[n] if 0 <= n < len(COUNTS) else f"{n:,}"


def listed(names: Iterable[str], most: int = 6) -> str:
    """Return `a, b and c`; names beyond `most` are counted."""
    names = list(names)
    if (more := len(names) - most) > 0:
        rest = f"{more} others" if more > 1 else "one other"
        return f"{', '.join(names[:most])} and {rest}"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def setting(value: object) -> str:
    """Return a setting's value as a study file would have it."""
    match value:
        case None:
            return DASH
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
    """Return settings in the order of their numbers, words after numbers."""

    def key(text: str) -> tuple[int, float, str]:
        try:
            return 0, float(text), text
        except ValueError:
            return 1, 0.0, text

    return sorted(values, key=key)
