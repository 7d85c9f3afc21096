"""No sentence contradicts its own interval or verdict, or another sentence.

`make sentences` reads 10,000 random studies instead of 300.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from helpers.random_studies import RandomStudy
from labmill.report.number_format import MINUS, SPACE
from labmill.report.results import StudyResults
from labmill.report.sections.classes.claims import make_claims as classes
from labmill.report.sections.comparisons.claims import make_claims as comparisons
from labmill.report.sections.pruning.claims import make_claims as pruning
from labmill.report.sections.results.claims import make_claims as ranking

STUDIES = int(os.environ.get("STUDIES", "300"))
PARTS = 6
NUMBER = r"[−+]?[\d.]+"
INTERVAL = re.compile(rf"95 % interval ({NUMBER}) to ({NUMBER})( points)?")
REACH = re.compile(
    rf"costs (?P<loss>{NUMBER}) points?(?: \(95[^)]*\))? of validation accuracy \(.*"
    rf"costs (?:at most|more than) (?P<drop>{NUMBER}) points?\)"
    rf"(?:\. Step \d+ costs (?P<next>{NUMBER}) points?)?"
)
WORDS = {
    "higher": re.compile(r"\bhigher\b|\bis best\b"),
    "lower": re.compile(r"\blower\b"),
    "practically equal": re.compile(r"practically equal"),
    "undecided": re.compile(r"undecided|not ranked"),
}
# What the sentence about the first variant may say of the others besides its verdict.
ASIDES = re.compile(r" Practically equal to it: [^.]*\.| Its lead over [^.]*is shown")

Claim = Mapping[str, Any]


def value(text: str) -> float:
    return float(text.replace(MINUS, "-").rstrip("."))


def of_itself(claim: Claim) -> Iterator[str]:
    """What is wrong with one claim."""
    said, verdict = claim["statement"].replace(SPACE, " "), claim["verdict"]
    if verdict is None:
        return
    words = {
        word for word, found in WORDS.items() if found.search(ASIDES.sub("", said))
    }
    if words != {verdict}:
        yield f"the verdict is {verdict}, the words are {words}"
    ends = [tuple(claim["interval"])] if claim["interval"] else []
    scale = 1.0
    if printed := INTERVAL.search(said):
        scale = 100.0 if printed[3] else 1.0
        ends.append((value(printed[1]) / scale, value(printed[2]) / scale))
    margin = float("inf") if scale == 1.0 else claim.get("margin", 0.0)
    for low, high in ends:
        fits = {
            "higher": low > 0,
            "lower": high < 0,
            "practically equal": -margin < low <= high < margin,
            "undecided": low <= 0 <= high,
        }
        if not fits[verdict]:
            yield f"{verdict}, but the interval is {low} to {high}"
    estimate = claim["estimate"]
    if claim["interval"] and not ends[0][0] <= estimate <= ends[0][1]:
        yield f"{estimate} is outside of its interval"
    details = claim["details"]
    if details and len(details["differences"]) == claim["n"] and "by seed" in said:
        differences = list(details["differences"].values())
        if abs(sum(differences) / len(differences) - estimate) > 1e-9:
            yield "the seeds' differences have another mean"
    enough = details["seeds_to_decide"] if details else None
    if enough is not None and (verdict != "undecided" or enough <= claim["n"]):
        yield f"{enough} seeds would decide, and {claim['n']} did not"


def of_a_loop(claim: Claim) -> Iterator[str]:
    """What is wrong with how far a loop goes."""
    said = claim["statement"].replace(SPACE, " ")
    if found := REACH.search(said):
        drop = value(found["drop"])
        if value(found["loss"]) > drop:
            yield f"{found['loss']} is more than {drop}"
        if found["next"] and value(found["next"]) <= drop:
            yield f"{found['next']} is no more than {drop}"
    if claim["interval"] and not (
        claim["interval"][0] <= claim["estimate"] <= claim["interval"][1]
    ):
        yield "the step is outside of its interval"


def verdicts(claims: Iterable[Claim]) -> Iterator[tuple[Any, str, Claim]]:
    """What is compared, from the side that comes first by name, and the verdict."""
    turned = {"higher": "lower", "lower": "higher"}
    for claim in claims:
        if not (claim["verdict"] and claim["contrast"] and "seeds" in claim["test"]):
            continue
        pairs, word = claim["contrast"]["pairs"], claim["verdict"]
        if len(pairs) == 1 and pairs[0][0] > pairs[0][1]:
            word, pairs = turned.get(word, word), [pairs[0][::-1]]
        yield (str(pairs), claim["contrast"]["metric"]), word, claim


def of_each_other(results: StudyResults, claims: list[Claim]) -> Iterator[str]:
    """Where two claims disagree, or one is about what learned too little."""
    said: dict[Any, str] = {}
    for key, word, _ in verdicts(claims):
        if said.setdefault(key, word) != word:
            yield f"{key}: {said[key]} and {word}"
    by_id = {claim["id"]: claim for claim in claims}
    for claim in claims:
        pairs = (claim["contrast"] or {}).get("pairs", ())
        members = {variant for pair in pairs for variant in pair}
        if claim["verdict"] and members & set(results.untrained):
            yield f"{claim['id']} is about runs that learned too little"
        parts = [c for id, c in by_id.items() if id.startswith(f"{claim['id']}:v")]
        known = [c["interval"] for c in (claim, *parts) if c["interval"]]
        if len(pairs) > 1 and len(known) == 1 + len(pairs):
            widths = [high - low for low, high in known]
            if widths[0] > max(widths[1:]) + 1e-9:
                yield f"{claim['id']} is less certain than its parts"
    yield from of_the_first(results, claims, said)


def of_the_first(
    results: StudyResults, claims: list[Claim], said: Mapping[Any, str]
) -> Iterator[str]:
    """Where the sentence about the first variant disagrees with the comparisons."""
    best = next((c for c in claims if c["id"] == "best" and c["p"] is not None), None)
    if best is None:
        return
    text = best["statement"].replace(SPACE, " ")
    leader = text.split("”")[0].removeprefix("“Variant ")
    clauses = {
        "higher": r"Its lead over (.*?) is shown",
        "undecided": r"undecided for its lead over (.*?)\.",
        "practically equal": r"(?:Practically equal to it: |, but )(“.*?)(?:\.| (?:is|are) pr)",
    }
    for word, pattern in clauses.items():
        for clause in re.findall(pattern, text):
            for other in re.findall(r"“Variant (v\d)”", clause):
                first, second = sorted((leader, other))
                known = said.get((str([[first, second]]), "test_accuracy"))
                if known is None:
                    continue
                if leader != first:
                    known = {"higher": "lower", "lower": "higher"}.get(known, known)
                if known != word:
                    yield f"{leader} against {other}: {word} and {known}"


@pytest.mark.parametrize("part", range(PARTS))
def test_no_sentence_contradicts_another(part: int):
    for number in range(part, STUDIES, PARTS):
        results = RandomStudy(number).results()
        claims = [
            found
            for make in (ranking, comparisons, pruning, classes)
            for found in make(results)
        ]
        margin = results.study["margin"]
        claims = [claim | {"margin": margin} for claim in claims]
        wrong = [
            f"{claim['id']}: {problem}: {claim['statement']}"
            for claim in claims
            for problem in (
                *of_itself(claim),
                *(of_a_loop(claim) if claim["id"].endswith(":reach") else ()),
            )
        ]
        wrong += of_each_other(results, claims)
        assert not wrong, (number, *wrong)
