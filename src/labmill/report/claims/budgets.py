"""Up to how many labels something helps: a question of `compare` over label counts."""

from collections.abc import Sequence
from typing import Any

from labmill.evaluation.statistics import LEAST_SEEDS, Verdict
from labmill.report.budgets import Sweep, sweeps
from labmill.report.claims import words
from labmill.report.claims.accuracy import Claims
from labmill.report.claims.evidence import (
    Evidence,
    Outcome,
    compare_seeds,
    contrast,
)
from labmill.report.claims.ranking import ACCURACY
from labmill.report.claims.template import Judged, Kind, judged

BUDGETS = Judged(
    higher="Test accuracy is higher with {first} than with {second} at {shown}. {end} "
    "Differences: {list} (paired t-tests over {seeds}, Holm's correction over all "
    "{tests} differences of this question).",
    lower="Test accuracy is higher with {first} than with {second} at no label count "
    "that was tried; it is lower at {below}. Differences: {list} (paired t-tests over "
    "{seeds}, Holm's correction over all {tests} differences of this question).",
    not_shown="At no label count that was tried a difference in test accuracy between "
    "{first} and {second} is shown. Differences: {list} (paired t-tests over {seeds}, "
    "Holm's correction over all {tests} differences of this question).",
    too_few="From {seeds} it cannot be said at which label counts {first} and {second} "
    "differ in test accuracy; at least {least} are needed. Differences: {list}.",
)
ENDS = "From {labels} on no gain is shown."
STAYS = "Up to {labels}, the most that were tried, the gain does not end."


def budget_claims(evidence: Evidence) -> Claims:
    """Each level against the first, over all label counts at once."""
    return [
        claim
        for sweep in sweeps(evidence.study)
        for claim in sweep_claims(evidence, sweep)
    ]


def sweep_claims(evidence: Evidence, sweep: Sweep) -> Claims:
    """One question; the family of its tests is all its levels and label counts."""
    (reference, base), *others = sweep.levels.items()
    places = {
        f"labels:{sweep.name}:{level}:{place}": contrast(
            evidence,
            f"labels:{sweep.name}:{level}:{place}",
            (words.named(level), words.named(reference)),
            [(first, second)],
            ACCURACY,
        )
        for level, variants in others
        for place, (first, second) in enumerate(zip(variants, base, strict=True))
    }
    contrasts = list(places.values())
    outcomes = compare_seeds(
        contrasts, [ACCURACY] * len(contrasts), f"label counts of {sweep.name}"
    )
    by_id = {outcome.contrast.id: outcome for outcome in outcomes}
    claims = []
    for level, variants in others:
        known = {
            place: by_id[id]
            for place in range(len(variants))
            if (id := f"labels:{sweep.name}:{level}:{place}") in by_id
        }
        if known:
            images = evidence.images(variants[0])
            claims.append(level_claim(sweep, level, known, len(outcomes), images))
    return claims


def level_claim(
    sweep: Sweep, level: str, known: dict[int, Outcome], tests: int, images: int
) -> dict[str, Any]:
    """One level against the reference; `known`: place in the sweep → outcome."""
    above = [p for p, o in known.items() if o.test.verdict is Verdict.HIGHER]
    below = [p for p, o in known.items() if o.test.verdict is Verdict.LOWER]
    deciding = known[(above or below or list(known))[-1]]
    few = [o for o in known.values() if o.test.verdict is Verdict.TOO_FEW]
    if few and not (above or below):
        deciding = few[0]
    beyond = [place for place in known if not above or place > above[-1]]
    end = ENDS if beyond else STAYS
    seeds = min(outcome.test.n for outcome in known.values())
    return judged(
        BUDGETS,
        deciding.test,
        f"labels:{sweep.name}:{level}",
        "compare",
        [one for o in known.values() for one in o.contrast.inputs(ACCURACY)],
        kind=Kind.QUESTION,
        about=sweep.name,
        first=deciding.contrast.first,
        second=deciding.contrast.second,
        shown=counts(sweep, above),
        below=counts(sweep, below),
        end=end.format(labels=count(sweep, beyond[0] if beyond else list(known)[-1])),
        list="; ".join(difference(sweep, p, o, images) for p, o in known.items()),
        seeds=words.number_of(seeds, "seed"),
        tests=tests,
        least=words.spelled(LEAST_SEEDS),
    )


def difference(sweep: Sweep, place: int, outcome: Outcome, images: int) -> str:
    """One label count's difference with its interval."""
    test = outcome.test
    digits = words.decimals(images, test.n)
    text = f"{count(sweep, place)}: {words.signed(test.estimate, '%', digits)}"
    if test.low is None or test.high is None:
        return text
    ends = words.fixed(100 * test.low, digits), words.fixed(100 * test.high, digits)
    return f"{text} (95{words.SPACE}% interval {ends[0]} to {ends[1]})"


def count(sweep: Sweep, place: int) -> str:
    """A label count in words."""
    labels = sweep.labels[place]
    return "all labels" if labels is None else words.number_of(labels, "label")


def counts(sweep: Sweep, places: Sequence[int]) -> str:
    """Several label counts in words."""
    return words.listed((count(sweep, place) for place in places), most=20)
