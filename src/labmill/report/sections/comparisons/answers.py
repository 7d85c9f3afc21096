"""The answers to the study's questions, for the first page."""

from collections import Counter
from collections.abc import Iterator

from labmill.report.answer import DECIDED, FEW, Answer, difference
from labmill.report.claims.claim import capital, digits_of_interval
from labmill.report.number_format import SPACE, bare, decimals, interval, points
from labmill.report.report_inputs import Record
from labmill.report.results import StudyResults
from labmill.report.text import escape, listed, named, plain
from labmill.stats.margins import Verdict
from labmill.study.metrics import metric

# More levels than this are counted.
LEVELS = 3


def answers(results: StudyResults) -> Iterator[Answer]:
    """Yield one answer to each question, in the study's order."""
    claims = {claim["id"]: claim for claim in results.numbered}
    for name, asked in results.study["compare"].items():
        levels = {
            level: claim
            for level in list(asked["levels"])[1:]
            for kind in ("labels", "compare")
            if (claim := claims.get(f"{kind}:{name}:{level}"))
        }
        yield answer(results, name, asked, levels, claims)


def answer(
    results: StudyResults,
    name: str,
    asked: Record,
    levels: dict[str, Record],
    claims: dict[str, Record],
) -> Answer:
    """Return the answer to one question; `levels`: level → its claim; `claims`: by id."""
    reference = next(iter(asked["levels"]))
    words = {level: word(claim) for level, claim in levels.items()}
    numbers = {level: number(results, claim) for level, claim in levels.items()}
    decided = {
        level: abs(claim["estimate"])
        for level, claim in levels.items()
        if claim["contrast"] and claim["verdict"] in DECIDED
    }
    headline = None
    if decided:
        level = max(decided, key=decided.__getitem__)
        value = numbers[level].partition(" (")[0]
        headline = value, f"{plain(level)} against {plain(reference)}"
    if len(levels) == 1:
        ((level, text),) = words.items()
        value = numbers[level]
        pairs = levels[level]["contrast"]["pairs"] if levels[level]["contrast"] else ()
        if value and len(pairs) > 1 and len(results.study["compare"]) <= FEW:
            value += (
                f", mean of {len(pairs)} pairs{spread(results, claims, levels[level])}"
            )
        if level in decided:
            sides = (reference, level) if text == "worse" else (level, reference)
            text = "better" if text == "worse" else text
            text = f"{plain(sides[0])} {text} than {plain(sides[1])}"
    elif len(levels) <= LEVELS:
        text = "; ".join(
            f"{listed(named(level) for level in levels if words[level] == one)}: {one}"
            for one in dict.fromkeys(words.values())
        )
        value = "; ".join(filter(None, numbers.values()))
        # The unit once, at the end.
        value = value.replace(f"{SPACE}points", "", value.count(f"{SPACE}points") - 1)
    elif levels:
        counted = Counter(words.values()).most_common()
        text = listed(f"{n} of {len(levels)} {one}" for one, n in counted)
        largest = max(levels, key=lambda k: abs(levels[k]["estimate"] or 0.0))
        value = f"largest: {plain(largest)} {numbers[largest]}"
    else:
        text, value = "no verdict", ""
    target, asks = f"question-{name}", escape(results.question(name))
    said = sentence(results, reference, levels, words)
    return Answer(name, asks, text, value, target, headline, said)


def sentence(
    results: StudyResults,
    reference: str,
    levels: dict[str, Record],
    words: dict[str, str],
) -> str | None:
    """Return the answer about accuracy as one sentence, where one can say it."""
    base = named(reference)
    if {
        claim["contrast"] and claim["contrast"]["metric"] for claim in levels.values()
    } != {"test_accuracy"}:
        return None
    if set(words.values()) == {Verdict.UNDECIDED} and len(levels) > 1:
        names = listed(named(level) for level in levels)
        return f"None of {names} is shown to differ from {base} in test accuracy."
    ((level, claim), *others) = levels.items()
    if others or not claim["interval"]:
        return None
    digits, (low, high) = digits_of(results, claim), claim["interval"]
    ends = interval(low, high, "%", digits)
    match words[level]:
        case "better" | "worse" as how:
            sizes = abs(low), abs(high)
            size = points(claim["estimate"], digits)
            ends = interval(min(sizes), max(sizes), "%", digits)
            return f"{capital(named(level))} is {how} than {base} by {size} ({ends})."
        case Verdict.PRACTICALLY_EQUAL:
            return f"{capital(named(level))} and {base} are practically equal ({ends})."
        case Verdict.UNDECIDED:
            return f"Whether {named(level)} or {base} is more accurate is undecided ({ends})."
    return None


def spread(results: StudyResults, claims: dict[str, Record], claim: Record) -> str:
    """Return the differences of the pairs of an average, the least and the largest."""
    apart = [
        claims[key]["estimate"]
        for a, b in claim["contrast"]["pairs"]
        if (key := f"{claim['id']}:{a}:{b}") in claims
    ]
    if len(apart) < len(claim["contrast"]["pairs"]):
        return ""
    digits = digits_of(results, claim)
    least, most = (bare(end(apart), "%", digits) for end in (min, max))
    return f" ({least} to {most})" if least != most else ""


def word(claim: Record) -> str:
    """Return a level's answer: better or worse where that is clear, else the verdict."""
    if claim["contrast"] is None:
        said = str(claim["statement"])
        if "learned too little" in said:
            return "no verdict: runs learned too little"
        # Numbers that were printed side by side.
        return said.partition(": ")[2].rstrip(".") or said.rstrip(".")
    kind = metric(claim["contrast"]["metric"])
    if claim["verdict"] not in DECIDED or not kind.better or kind.unit != "%":
        return claim["verdict"] or "no verdict"
    return "better" if claim["verdict"] == kind.better else "worse"


def number(results: StudyResults, claim: Record) -> str:
    """Return one level's difference from the reference, with its interval."""
    if claim["contrast"] is None or claim["estimate"] is None:
        return ""
    unit = metric(claim["contrast"]["metric"]).unit
    return difference(claim, unit, digits_of(results, claim))


def digits_of(results: StudyResults, claim: Record) -> int:
    """Return the decimals of a claim's difference, as in the claim itself."""
    first = claim["contrast"]["pairs"][0][0]
    digits = decimals(results.test_images(first), claim["n"] or 1)
    share = metric(claim["contrast"]["metric"]).unit == "%"
    if not share or not claim["interval"]:
        return digits
    return digits_of_interval(claim["interval"], results.study["margin"], digits)
