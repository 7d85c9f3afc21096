"""Which variant is best, whether that is shown, and what these runs can show."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from labmill.report.claims.claim import (
    Claim,
    Kind,
    Phrase,
    Statement,
    Test,
    TestedStatement,
    claim,
)
from labmill.report.claims.comparison import ACCURACY, SEEDS_TEST, Outcome
from labmill.report.claims.differences import by_seed, decide
from labmill.report.claims.findings import ALL_PAIRS, Findings, findings, pair_of
from labmill.report.claims.images import image_claims
from labmill.report.number_format import decimals
from labmill.report.results import StudyResults
from labmill.report.sections.results.failures import failure_claims
from labmill.report.sections.results.untrained import untrained_claims
from labmill.report.text import named
from labmill.stats.margins import Verdict
from labmill.stats.significance import LEAST_SEEDS, mean_over_seeds

SCORE = Statement(
    "{label:name} gets {estimate:percent} of the {images:number} test {things} right "
    "({n:seeds}{interval})."
)
INTERVAL = ", 95\N{NO-BREAK SPACE}% interval {low:percent} to {high:percent}"
COMES_FIRST = (
    "{leader:name} comes first with {mean:percent} test accuracy ({seeds:mean})"
)
TIED = (
    "{names:list} come first together with {mean:percent} test accuracy ({seeds:mean})"
)
OVER = " for its lead over {names:list}"
BEST = TestedStatement(
    higher="{leader:name} is best: {mean:percent} test accuracy ({seeds:mean}), {ahead}.{left}",
    lower=None,  # it has the largest mean
    equal="{first}, but {equal}.{shown}{left}",
    undecided="{first}, but whether that would hold with other seeds is undecided{over}."
    "{decide}{equal}{shown}{left}",
    untested="{untested}",
)
FEW_RUNS = (
    "{few} From so few runs, chance and a real difference cannot be told apart: variants "
    "are not ranked. Ranking needs at least {least:spelled} finished seeds of each."
)
NO_SPREAD = (
    "{first}, but whether that would hold with other seeds is undecided{over}: no value "
    "varies from seed to seed, so there is no test.{left}"
)
AHEAD = "{difference:points} above {behind}{closest} ({ends:interval}{seeds})"
CLOSEST = ", the closest of the other {others:spelled}"
EQUAL = "{names:list} {verb} practically equal, less than {margin:round_points} away"
SHOWN = " Its lead over {names:list.9} is shown ({size})."
ALSO_EQUAL = " Practically equal to it: {names:list}."
LEFT_OUT = " Not ranked, with too few finished seeds: {who:list}."
FINISHED = "{label:name} ({mean:percent}; {done:spelled} of {planned:spelled} seeds)"
FEW = "Too few runs: {who:list}."
TIMES = {1: "once (one seed)", 2: "twice (two seeds)"}
POWER = Statement(
    "{half} between ranked variants {verb} to within ±{estimate:points} (95\N{NO-BREAK SPACE}% "
    "intervals with {n} seeds); smaller differences are seldom shown.{outlying}"
)
OUTLYING = (
    " From seed to seed, {names:list} {verb} far more than the others (standard deviation "
    "{sds:list}; median of all: {median:points}): only these comparisons suffer from that."
)


def make_claims(results: StudyResults) -> list[Claim]:
    """Return who comes first, which runs learned too little, and which were lost."""
    return [
        *ranking_claims(results),
        *untrained_claims(results),
        *failure_claims(results),
    ]


def ranking_claims(results: StudyResults) -> list[Claim]:
    """Return which variant comes first, whether that is shown, and what could have been."""
    found = findings(results)
    order = list(found.means)
    if not order:
        return []
    if len(order) == 1:
        return [score_claim(results, order[0])]
    if len(found.ranked) < 2:
        return unranked_claims(results, found)
    leading = found.leading()
    return [best_claim(results, found, leading), *power_claim(results, found)]


def score_claim(results: StudyResults, variant: str) -> Claim:
    """Return the accuracy of the only variant that can be ranked."""
    rows = list(results.usable(variant, ACCURACY).values())
    mean = mean_over_seeds(
        [row.cells[ACCURACY] for row in rows], share=True, overlap=results.overlap
    )
    images = results.test_images(variant)
    interval = None
    if mean.low is not None and mean.high is not None:
        interval = Phrase(INTERVAL, low=mean.low, high=mean.high)
    return claim(
        SCORE,
        "score",
        [row.input(ACCURACY) for row in rows],
        kind=Kind.BEST,
        n=mean.n,
        estimate=mean.estimate,
        digits=decimals(images, mean.n),
        images=images,
        things=results.things,
        label=results.label(variant),
        interval=interval,
    )


def unranked_claims(results: StudyResults, found: Findings) -> list[Claim]:
    """Return that seeds are too few to rank, and single networks on the same images."""
    order, evidence = list(found.means), found.evidence
    pairs = [(order[0], other) for other in order[1:]]
    comparisons = [pair_of(results, f"pair:{a}:{b}", (a, b)) for a, b in pairs]
    closest = comparisons[0]
    few = claim(
        BEST,
        "best",
        [run.input(ACCURACY) for v in order for run in evidence.runs[v].values()],
        test=Test(
            name=SEEDS_TEST,
            n=min(len(evidence.runs[variant]) for variant in order),
            family=ALL_PAIRS,
            estimate=evidence.estimate(closest),
        ),
        kind=Kind.BEST,
        contrast=closest.describe(ACCURACY),
        untested=Phrase(FEW_RUNS, few=few_seeds(results, found), least=LEAST_SEEDS),
    )
    # Pairs that a question compares are answered there.
    single = [one for one in comparisons if not found.compared(one)]
    return [few, *image_claims(evidence, single, "results")]


def best_claim(
    results: StudyResults, found: Findings, leading: Sequence[Outcome]
) -> Claim:
    """Return whether the first stays first: its lead on every other must be shown."""
    leader = leading[0].comparison.rows[0]
    ahead = [o for o in leading if o.test.verdict is Verdict.HIGHER]
    equal = [o for o in leading if o.test.verdict is Verdict.PRACTICALLY_EQUAL]
    undecided = [o for o in leading if o not in ahead and o not in equal]
    # The verdict that is stated is that of the comparison that decides.
    deciding = min(undecided or equal or ahead, key=lambda o: o.test.estimate)
    test = deciding.test
    runs = found.evidence.runs[leader]
    tied = [o for o in undecided if abs(o.test.estimate) < 1e-9]
    open_leads = [o.comparison.second for o in undecided if o not in tied]
    about: dict[str, Any] = {
        "leader": results.label(leader),
        "mean": found.means[leader],
        "seeds": len(runs),
    }
    first = Phrase(COMES_FIRST, **about)
    if tied:
        names = [named(about["leader"]), *(o.comparison.second for o in tied)]
        first = Phrase(TIED, **about, names=names)
    said: dict[str, Any] = about | {
        "first": first,
        "over": Phrase(OVER, names=open_leads) if open_leads else None,
        "left": left_out(results, found),
    }
    return claim(
        BEST,
        "best",
        [one for outcome in leading for one in outcome.inputs()],
        test=test,
        kind=Kind.BEST,
        contrast=deciding.comparison.describe(ACCURACY),
        digits=decimals(results.test_images(leader), len(runs)),
        ahead=Phrase(
            AHEAD,
            difference=test.estimate,
            ends=(test.low, test.high),
            seeds=by_seed(test),
            behind=deciding.comparison.second,
            closest=Phrase(CLOSEST, others=len(leading)) if len(leading) > 1 else None,
        ),
        equal=equal_phrase(equal, alone=not undecided),
        decide=decide(test) if len(undecided) == 1 else None,
        shown=shown_phrase(ahead),
        untested=Phrase(NO_SPREAD, **said),
        **said,
    )


def shown_phrase(ahead: Sequence[Outcome]) -> Phrase | None:
    """Return over which variants the first one's lead is shown, and by how much."""
    if not ahead:
        return None
    leads = sorted(outcome.test.estimate for outcome in ahead)
    names = [outcome.comparison.second for outcome in ahead]
    size = Phrase("{lead:points}", lead=leads[0])
    if leads[-1] - leads[0] >= 0.001:  # else both would be printed alike
        size = Phrase("estimates {leads:ends} points", leads=(leads[0], leads[-1]))
    return Phrase(SHOWN, names=names, size=size)


def equal_phrase(equal: Sequence[Outcome], *, alone: bool) -> Phrase | None:
    """Return which variants are practically equal to the first."""
    if not equal:
        return None
    names = [outcome.comparison.second for outcome in equal]
    verb = "is" if len(names) == 1 else "are"
    margin = equal[0].test.margin
    return Phrase(EQUAL if alone else ALSO_EQUAL, names=names, verb=verb, margin=margin)


def left_out(results: StudyResults, found: Findings) -> Phrase | None:
    """Return the candidates that are not ranked, with their accuracies."""
    who = [finished(results, found, v) for v in found.means if v not in found.ranked]
    return Phrase(LEFT_OUT, who=who) if who else None


def finished(results: StudyResults, found: Findings, variant: str) -> Phrase:
    """Return a variant with its accuracy and the number of its seeds that finished."""
    return Phrase(
        FINISHED,
        label=results.label(variant),
        mean=found.means[variant],
        done=len(found.evidence.runs[variant]),
        planned=len(results.runs[variant]),
    )


def few_seeds(results: StudyResults, found: Findings) -> Phrase:
    """Return who was trained how often, where that is too seldom."""
    counts = {v: len(found.evidence.runs[v]) for v in found.means}
    planned = {len(results.runs[v]) for v in counts}
    if planned == set(counts.values()) and len(planned) == 1:
        (times,) = planned
        text = TIMES.get(times, f"{times} times")
        return Phrase("Each variant was trained {times}.", times=text)
    few = [v for v, n in counts.items() if n < LEAST_SEEDS]
    return Phrase(FEW, who=[finished(results, found, v) for v in few])


def power_claim(results: StudyResults, found: Findings) -> list[Claim]:
    """Return how fine a difference the ranked variants' seeds can show."""
    tests = [outcome.test for outcome in found.between_ranked()]
    halves = [
        (t.high - t.low) / 2 for t in tests if t.high is not None and t.low is not None
    ]
    if not halves:
        return []
    runs = [run for v in found.ranked for run in found.evidence.runs[v].values()]
    several = len(halves) > 1
    return [
        claim(
            POWER,
            "power",
            [run.input(ACCURACY) for run in runs],
            n=min(len(found.evidence.runs[v]) for v in found.ranked),
            estimate=float(np.median(halves)),
            half="Half of the differences" if several else "The difference",
            verb="are known" if several else "is known",
            outlying=outlying(results, found),
        )
    ]


def outlying(results: StudyResults, found: Findings) -> Phrase | None:
    """Return which ranked variants vary far more than the others."""
    variances = found.evidence.layout.variances
    wide = [v for v in found.evidence.layout.outlying if v in found.ranked]
    if not wide:
        return None
    return Phrase(
        OUTLYING,
        names=[named(results.label(v)) for v in wide],
        verb="varies" if len(wide) == 1 else "vary",
        sds=[Phrase("{sd:points}", sd=variances[v][0] ** 0.5) for v in wide],
        median=float(np.median([s**0.5 for s, _ in variances.values()])),
    )
