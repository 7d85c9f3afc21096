"""Claims: sentences with typed slots, and the data behind them.

A slot names its format: `{accuracy:percent}`, `{label:name}`, `{n:seeds}`; see `SLOTS`.
A sentence that ranks (`better`, `higher`, `faster` …) exists only inside
`TestedStatement`, for the verdicts `higher` and `lower`: a claim's verdict chooses its
sentence. A `Statement` reports numbers and cannot be built from ranking words.
"""

import re
import string
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from labmill.report import number_format as numbers
from labmill.report import text
from labmill.stats.margins import Verdict
from labmill.study.metrics import metric

RANKING = re.compile(
    r"\b(better|best|worse|worst|higher|highest|lower|lowest|superior|inferior|winner"
    r"|wins?|beats?|(?:more|less|most|least) (?:accurate|efficient|robust)|fast(?:er|est)"
    r"|slow(?:er|est)|cheap(?:er|est)|outperform\w*|improv\w*|surpass\w*|outranks?"
    r"|gains? (?:over|on)|strong(?:er|est)|weak(?:er|est))\b",
    re.IGNORECASE,
)
# Decimals of percentages at most.
MOST_DIGITS = 4
Claim = dict[str, Any]


class Kind(StrEnum):
    """The role of a claim in its study, in the order of the Summary.

    All but DETAIL are answers; `about` names the question, loop, search or variant.
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


def refuse_ranking(sentence: str) -> None:
    """Raise ValueError when a sentence without a verdict behind it ranks."""
    if found := RANKING.search(sentence):
        raise ValueError(f"{found[0]!r} needs a test behind it: {sentence}")


@dataclass(frozen=True)
class Statement:
    """A sentence that reports numbers."""

    text: str

    def __post_init__(self) -> None:
        refuse_ranking(self.text)


@dataclass(frozen=True)
class TestedStatement:
    """One sentence per verdict; only `higher` and `lower` may rank.

    `untested`: where there was no test, so that the verdict is "undecided".
    """

    __test__ = False

    higher: str
    lower: str | None
    equal: str
    undecided: str
    untested: str

    def __post_init__(self) -> None:
        for sentence in (self.equal, self.undecided, self.untested):
            refuse_ranking(sentence)

    def of(self, test: "Test") -> str:
        """Return the sentence of a test; ValueError for a verdict that cannot occur."""
        sentence = {
            Verdict.HIGHER: self.higher,
            Verdict.LOWER: self.lower,
            Verdict.PRACTICALLY_EQUAL: self.equal,
            Verdict.UNDECIDED: self.undecided if test.made else self.untested,
        }[test.verdict]
        if sentence is None:
            raise ValueError(f"no sentence for the verdict {test.verdict}")
        return sentence


@dataclass(frozen=True, kw_only=True)
class Test:
    """The test behind a verdict.

    Attributes:
        name: the test in words.
        n: number of seeds or images.
        family: the comparisons that the correction covers.
        estimate, low, high: in the metric's unit, first minus second; the interval
            excludes 0 exactly where the test shows a difference.
        p, p_adjusted: before and after the correction.
        margin: smallest difference that matters.
        details: further numbers (`Details`).
    """

    __test__ = False

    name: str
    n: int
    family: str
    estimate: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    margin: float = 0.0
    verdict: Verdict = Verdict.UNDECIDED
    details: "Details | None" = None

    @property
    def made(self) -> bool:
        """Whether there was a test."""
        return self.p is not None


@dataclass(frozen=True, kw_only=True)
class Details:
    """What a test over seeds has besides its verdict.

    Attributes:
        differences: first minus second by seed; empty where the sides differ in seeds.
        same_images: interval on these test images, seeds alone; None where the test's
            own interval is that.
        comparisons: number of comparisons that the correction covers.
        error, freedom: standard error of the estimate by its own test, and its degrees
            of freedom.
        seeds_to_decide: about how many seeds would decide, None if unknown or decided.
    """

    differences: dict[str, float]
    same_images: tuple[float, float] | None
    comparisons: int
    error: float
    freedom: float
    seeds_to_decide: int | None


# --- slots -------------------------------------------------------------------------------


class Phrase:
    """A part of a sentence with slots."""

    def __init__(self, text: str, **values: Any) -> None:
        self.text, self.values = text, values


@dataclass(frozen=True)
class Writer(string.Formatter):
    """Fills slots. `unit`: of the claim's metric; `digits`: decimals of percentages."""

    unit: str = "%"
    digits: int = 1

    def write(self, value: Any) -> str:
        """Return a phrase or text; nothing for None."""
        if isinstance(value, Phrase):
            return self.vformat(value.text, (), value.values)
        return "" if value is None else str(value)

    def format_field(self, value: Any, spec: str) -> str:
        """Return a slot's value in the slot's format; `.2` after it is its argument."""
        name, _, argument = spec.partition(".")
        if not name:
            return self.write(value)
        if name in NOUNS:
            return text.number_of(value, NOUNS[name])
        return SLOTS[name](self, value, int(argument) if argument else None)


NOUNS = {
    text.plural(noun): noun
    for noun in (
        *("class", "edit", "epoch", "head", "image", "label", "line", "run", "seed"),
        *("setting", "step", "thread", "unit", "variant"),
    )
}
Slot = Callable[[Writer, Any, int | None], str]


def digits(writer: Writer, argument: int | None) -> int:
    """Return the decimals of a slot: its own, else the claim's."""
    return writer.digits if argument is None else argument


SLOTS: dict[str, Slot] = {
    "name": lambda w, value, _: text.named(value),
    "names": lambda w, value, most: text.listed(map(text.named, value), most or 6),
    "text": lambda w, value, _: text.plain(value),
    "list": lambda w, value, most: text.listed(map(w.write, value), most or 6),
    "semicolons": lambda w, value, _: "; ".join(map(w.write, value)),
    "percent": lambda w, value, d: numbers.percent(value, digits(w, d)),
    "points": lambda w, value, d: numbers.points(value, digits(w, d)),
    "round_points": lambda w, value, _: numbers.points(
        value, 0 if round(100 * value, 6) % 1 == 0 else 1
    ),
    "signed_points": lambda w, value, d: numbers.signed(value, "%", digits(w, d)),
    "signed": lambda w, value, d: numbers.signed(value, w.unit, digits(w, d)),
    "change": lambda w, value, d: numbers.bare(value, w.unit, digits(w, d)),
    "amount": lambda w, value, d: numbers.amount(value, w.unit, digits(w, d)),
    "quantity": lambda w, value, d: numbers.quantity(value, w.unit, digits(w, d)),
    "interval": lambda w, value, d: numbers.interval(
        value[0], value[1], w.unit, digits(w, d)
    ),
    "ends": lambda w, value, d: numbers.ends(value[0], value[1], w.unit, digits(w, d)),
    "count": lambda w, value, _: numbers.large_count(value),
    "number": lambda w, value, _: numbers.count(value),
    "significant": lambda w, value, d: numbers.significant(value, d or 3),
    "fixed": lambda w, value, d: numbers.fixed(value, digits(w, d)),
    "ms": lambda w, value, _: numbers.milliseconds(value),
    "seconds_of": lambda w, value, _: numbers.quantity(value, "s", 0),
    "mean": lambda w, value, _: text.averaged(value),
    "span": lambda w, value, _: text.span(value),
    "spelled": lambda w, value, _: text.spelled(value),
    "metric": lambda w, value, _: metric(value).words,
    "Metric": lambda w, value, _: capital(metric(value).words),
}


def capital(words: str) -> str:
    """Return words with the first letter large and the others unchanged."""
    return words[:1].upper() + words[1:]


# --- claims ------------------------------------------------------------------------------

Inputs = Iterable[dict[str, str]]


def claim(
    statement: Statement | TestedStatement,
    id: str,
    inputs: Inputs,
    *,
    test: Test | None = None,
    kind: Kind = Kind.DETAIL,
    about: str | None = None,
    contrast: dict[str, Any] | None = None,
    n: int | None = None,
    estimate: float | None = None,
    ends: tuple[float | None, float | None] = (None, None),
    column: str = "test_accuracy",
    digits: int = 1,
    **values: Any,
) -> Claim:
    """Return a claim; a test's verdict chooses its sentence.

    Args:
        statement: the sentence, a `TestedStatement` where there is a test.
        id: unique among a study's claims.
        inputs: files and fields that the claim follows from.
        test: the test behind it.
        kind: its role in the study.
        about: the question, loop, search or variant that it answers.
        contrast: the two sides that are compared.
        n: number of runs, points or images; the test's where there is one.
        estimate: the number of the claim; the test's where there is one.
        ends: interval of the estimate; the test's where there is one.
        column: the metric whose unit differences have.
        digits: decimals of percentages.
        values: what fills the slots besides `n`, `estimate` and `ends`.
    """
    p = None
    if test:
        n, estimate, ends, p = (
            test.n,
            test.estimate,
            (test.low, test.high),
            test.p_adjusted,
        )
        digits = telling_digits(test, column, digits)
    if isinstance(statement, TestedStatement):
        assert test is not None, id
        sentence = statement.of(test)
    else:
        sentence = statement.text
    filled = {"n": n, "estimate": estimate, "ends": ends, "column": column}
    writer = Writer(metric(column).unit, digits)
    return {
        "id": id,
        "section": None,
        "kind": str(kind),
        "about": about,
        "contrast": contrast,
        "statement": writer.vformat(sentence, (), filled | values),
        "inputs": distinct(inputs),
        "test": test.name if test else None,
        "family": test.family if test else None,
        "n": n,
        "estimate": estimate,
        "interval": None if None in ends else list(ends),
        "p": test.p if test else None,
        "p_adjusted": p,
        "verdict": str(test.verdict) if test else None,
        "details": asdict(test.details) if test and test.details else None,
    }


def telling_digits(test: Test, column: str, digits: int) -> int:
    """Return the decimals at which the printed interval agrees with its verdict.

    Its ends must be on the same side of 0, and of the margin where they are inside, as
    they are unrounded.
    """
    if metric(column).unit != "%" or test.low is None or test.high is None:
        return digits
    return digits_of_interval((test.low, test.high), test.margin, digits)


def digits_of_interval(
    interval: tuple[float, float], margin: float, digits: int
) -> int:
    """Return the decimals at which an interval of shares is rounded to no limit."""
    limits, (low, high) = [0.0], interval
    if -margin < low and high < margin:
        limits += [-margin, margin]
    return digits_apart(interval, limits, digits)


def digits_apart(values: Iterable[float], limits: Sequence[float], digits: int) -> int:
    """Return the decimals of percentages at which no value is rounded to a limit."""
    values = list(values)
    while digits < MOST_DIGITS and any(
        value != limit and round(100 * value, digits) == round(100 * limit, digits)
        for value in values
        for limit in limits
    ):
        digits += 1
    return digits


def distinct(inputs: Inputs) -> list[dict[str, str]]:
    """Return the inputs, each once, in order."""
    return list({(one["file"], one["field"]): one for one in inputs}.values())
