"""An answer of the first page: one row of its table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labmill.report.number_format import ends, signed
from labmill.stats.margins import Verdict

# Verdicts that decide a question.
DECIDED = (Verdict.HIGHER, Verdict.LOWER)
# With more answers than this the first page has no room to explain them.
FEW = 6


@dataclass(frozen=True)
class Answer:
    """What was asked and what came out. All text is Markdown.

    Attributes:
        about: the question, search, loop or network in the study.
        question: as the study words it, or as its search or prune loop implies.
        answer: in a few words.
        number: with its interval.
        target: anchor of the details.
        headline: the number in large type and what it is, where the answer is decided.
        sentence: the answer as a sentence that needs no question, where it has one.
        topic: the section of the report that it is from.
    """

    about: str
    question: str
    answer: str
    number: str
    target: str
    headline: tuple[str, str] | None = None
    sentence: str | None = None
    topic: str = ""


def difference(claim: Mapping[str, Any], unit: str, digits: int) -> str:
    """Return a claim's difference with its interval: `+3.4 points (0.9 to 5.9)`."""
    value = signed(claim["estimate"], unit, digits)
    if not claim["interval"]:
        return value
    low, high = claim["interval"]
    return f"{value} ({ends(low, high, unit, digits)})"
