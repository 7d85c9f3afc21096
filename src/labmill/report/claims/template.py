"""Sentences and the evidence they need: the only place where a claim is made.

A sentence that ranks (`better`, `higher`, `faster` …) exists only inside `Judged`, for
the verdicts `higher` and `lower`; which sentence a claim gets is decided by its verdict.
A `Plain` sentence reports numbers side by side, and cannot be built from ranking words.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from labmill.evaluation.statistics import Verdict

RANKING = re.compile(
    r"\b(better|best|worse|worst|higher|highest|lower|lowest|superior|inferior|winner"
    r"|wins?|beats?|(?:more|less|most|least) (?:accurate|efficient|robust)|fast(?:er|est)"
    r"|slow(?:er|est)|cheap(?:er|est)|outperform\w*|improv\w*|surpass\w*|outranks?"
    r"|gains? (?:over|on)|strong(?:er|est)|weak(?:er|est))\b",
    re.IGNORECASE,
)


class Kind(StrEnum):
    """What a claim is to its study, in the order of the Summary.

    All but DETAIL are answers; of which question, loop, search or variant, the claim's
    `about` says.
    """

    BEST = "best"
    QUESTION = "question"
    LOOP = "loop"
    SEARCH = "search"
    STEP = "step"
    EDIT = "edit"
    SPEED = "speed"
    DECODING = "decoding"
    END = "end"
    DETAIL = "detail"


def refuse_ranking(text: str) -> None:
    """ValueError when a sentence without a verdict behind it ranks."""
    if found := RANKING.search(text):
        raise ValueError(f"{found[0]!r} needs a test behind it: {text}")


@dataclass(frozen=True)
class Plain:
    """A sentence that puts numbers side by side."""

    text: str

    def __post_init__(self) -> None:
        refuse_ranking(self.text)


@dataclass(frozen=True)
class Judged:
    """One sentence per verdict; only `higher` and `lower` may rank."""

    higher: str
    lower: str | None
    not_shown: str
    too_few: str

    def __post_init__(self) -> None:
        refuse_ranking(self.not_shown)
        refuse_ranking(self.too_few)

    def text(self, verdict: Verdict) -> str:
        """The sentence of a verdict; ValueError for one that cannot come up."""
        text = {
            Verdict.HIGHER: self.higher,
            Verdict.LOWER: self.lower,
            Verdict.NOT_SHOWN: self.not_shown,
            Verdict.TOO_FEW: self.too_few,
        }[verdict]
        if text is None:
            raise ValueError(f"no sentence for the verdict {verdict}")
        return text


@dataclass(frozen=True)
class Test:
    """What stands behind a verdict.

    name: the test in words; n: how many seeds or images; family: what the correction went
    over; p, p_adjusted: before and after it; estimate, low, high: in the metric's unit, first minus second.
    """

    name: str
    n: int
    family: str
    estimate: float
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    verdict: Verdict


Inputs = Iterable[dict[str, str]]


def plain(
    template: Plain,
    id: str,
    section: str,
    inputs: Inputs,
    *,
    kind: Kind = Kind.DETAIL,
    about: str | None = None,
    n: int | None = None,
    estimate: float | None = None,
    **values: Any,
) -> dict[str, Any]:
    """A claim that reports; `values` fill the sentence."""
    return {
        "id": id,
        "section": section,
        "kind": str(kind),
        "about": about,
        "contrast": None,
        "statement": template.text.format(**values),
        "inputs": distinct(inputs),
        "test": None,
        "family": None,
        "n": n,
        "estimate": estimate,
        "interval": None,
        "p": None,
        "p_adjusted": None,
        "verdict": None,
    }


def judged(
    template: Judged,
    test: Test,
    id: str,
    section: str,
    inputs: Inputs,
    *,
    kind: Kind = Kind.DETAIL,
    about: str | None = None,
    contrast: dict[str, Any] | None = None,
    **values: Any,
) -> dict[str, Any]:
    """A claim that a test stands behind; its verdict chooses the sentence."""
    known = test.low is not None and test.high is not None
    return {
        "id": id,
        "section": section,
        "kind": str(kind),
        "about": about,
        "contrast": contrast,
        "statement": template.text(test.verdict).format(**values),
        "inputs": distinct(inputs),
        "test": test.name,
        "family": test.family,
        "n": test.n,
        "estimate": test.estimate,
        "interval": [test.low, test.high] if known else None,
        "p": test.p,
        "p_adjusted": test.p_adjusted,
        "verdict": str(test.verdict),
    }


def distinct(inputs: Inputs) -> list[dict[str, str]]:
    """The inputs, each once, in order."""
    return list({(one["file"], one["field"]): one for one in inputs}.values())
