"""Which variant is best, and one contrast as a sentence."""

from collections.abc import Sequence
from typing import Any

from labmill.evaluation.statistics import LEAST_SEEDS, Verdict, mean_over_seeds
from labmill.report.claims import words
from labmill.report.claims.evidence import Evidence, Outcome, between
from labmill.report.claims.images import image_claims
from labmill.report.claims.ranking import ACCURACY, Ranking, asked, judge, ranking
from labmill.report.claims.template import Judged, Kind, Plain, judged, plain

Claims = list[dict[str, Any]]

SCORE = Plain(
    "Of the {images} test images, {label} gets {mean} right ({seeds}{interval})."
)
BEST = Judged(
    higher="The highest test accuracy is that of {leader}: {mean} ({seeds}). {ahead}"
    "{left}",
    lower=None,  # it has the largest mean
    not_shown="{leader} comes first with a test accuracy of {mean} ({seeds}), but these "
    "runs do not show that it would come first again: no difference is shown between it "
    "and {open} ({how}).{left}",
    too_few="{few} Trained again from other random starting weights, every network would "
    "score a little differently, and from so few runs nobody can tell such luck from a "
    "real difference. So the variants cannot be ranked: that takes at least {least} "
    "finished seeds of each.",
)
DIFFERENCE = Judged(
    higher="{metric}{mean_of} is {difference} higher with {first} than with {second} "
    "({interval}, {seeds}, {how}).",
    lower="{metric}{mean_of} is {difference} lower with {first} than with {second} "
    "({interval}, {seeds}, {how}).",
    not_shown="{metric}{mean_of}: no difference between {first} and {second} is shown "
    "({signed}; {interval}, {seeds}, {how}).{detectable}",
    too_few="{metric}{mean_of}: from {seeds} it cannot be said whether {first} and "
    "{second} differ; at least {least} are needed.",
)
POWER = Plain(
    "How fine a difference these runs can show: apart from what a seed does to all "
    "variants alike, test accuracy varies with a standard deviation of {sd}, taken to be "
    "the same for all {variants} variants. A true difference of {detectable} between two "
    "of them would be shown in four of five repetitions ({made} over {seeds}).{uneven}"
)
UNEVEN = (
    " {label} varies more than that allows (Cochran's C test): how it differs from the "
    "others is less certain than the p values say."
)
NO_ANSWER = Plain(
    "This question has no answer here: of {variants} no run with a common seed was "
    "finished."
)
SIDE_BY_SIDE = Plain(
    "{metric}: {first_values} with {first}, {second_values} with {second}."
)


def ranking_claims(evidence: Evidence) -> Claims:
    """Which variant comes first, whether that is shown, and what could have been."""
    placed = ranking(evidence)
    order = list(placed.means)
    if not order:
        return []
    if len(order) == 1:
        return [score_claim(evidence, order[0])]
    contrasts = [
        between(evidence, f"pair:{order[0]}:{other}", (order[0], other), ACCURACY)
        for other in order[1:]
    ]
    contrasts = [one for one in contrasts if one.pairs]
    if not contrasts:
        return []
    leading = judge(placed, contrasts, ACCURACY, "all pairs of variants")
    best = best_claim(evidence, placed, leading)
    if placed.layout:
        return [best, power_claim(evidence, placed, leading)]
    # What a question asks is answered there.
    known = asked(evidence.study)
    single = [one for one in contrasts if frozenset(one.variants[0]) not in known]
    return [best, *image_claims(evidence, single, "ranking")]


def score_claim(evidence: Evidence, variant: str) -> dict[str, Any]:
    """The accuracy of a study's only variant."""
    rows = list(evidence.usable(variant, ACCURACY).values())
    mean = mean_over_seeds([row.cells[ACCURACY] for row in rows], share=True)
    images = evidence.images(variant)
    digits = words.decimals(images, mean.n)
    ends = ""
    if mean.low is not None and mean.high is not None:
        ends = (
            f", 95{words.SPACE}% interval {words.fixed(100 * mean.low, digits)} to "
            f"{words.percent(mean.high, digits)}"
        )
    return plain(
        SCORE,
        "score",
        "ranking",
        [row.input(ACCURACY) for row in rows],
        kind=Kind.BEST,
        n=mean.n,
        estimate=mean.estimate,
        images=f"{images:,}",
        label=evidence.label(variant),
        mean=words.percent(mean.estimate, digits),
        seeds=words.number_of(mean.n, "seed"),
        interval=ends,
    )


def best_claim(
    evidence: Evidence, placed: Ranking, leading: Sequence[Outcome]
) -> dict[str, Any]:
    """Whether the first stays first: its difference from every other must be shown."""
    leader = next(iter(placed.means))
    weakest = max(leading, key=lambda o: (o.test.p_adjusted or 0.0, -o.test.estimate))
    shown = [o for o in leading if o.test.verdict is Verdict.HIGHER]
    n = weakest.test.n
    digits = words.decimals(evidence.images(leader), n)
    unequal = any(len(evidence.usable(v, ACCURACY)) > n for v in placed.means)
    return judged(
        BEST,
        weakest.test,
        "best",
        "ranking",
        [one for outcome in leading for one in outcome.contrast.inputs(ACCURACY)],
        kind=Kind.BEST,
        contrast=weakest.contrast.told(ACCURACY),
        leader=evidence.label(leader),
        mean=words.percent(placed.means[leader], digits),
        seeds=f"mean of the {n} seeds that all of them finished"
        if placed.layout and unequal
        else words.averaged(n),
        ahead=ahead(weakest, len(leading), digits),
        how=weakest.how if len(leading) - len(shown) == 1 else weakest.made,
        open=words.listed(o.contrast.second for o in leading if o not in shown),
        left=left_out(evidence, placed),
        few=few_seeds(evidence, list(placed.means)),
        least=words.spelled(LEAST_SEEDS),
    )


def ahead(weakest: Outcome, others: int, digits: int) -> str:
    """By how much the first is ahead of the others, where that is shown."""
    difference = words.points(weakest.test.estimate, digits)
    interval = words.interval(weakest.test.low, weakest.test.high, "%", digits)
    behind, how = weakest.contrast.second, f"{interval}, {weakest.how}"
    if others == 1:
        return f"Its difference from {behind} is shown: {difference} ({how})."
    return (
        f"Its difference from each of the other {words.spelled(others)} is shown; the "
        f"smallest is {difference} (to {behind}; {how})."
    )


def left_out(evidence: Evidence, placed: Ranking) -> str:
    """Who is not ranked, and why."""
    if not placed.left_out:
        return ""
    who = words.listed(
        f"{evidence.label(v)} ({finished(evidence, v)})" for v in placed.left_out
    )
    return f" Not ranked: {who}."


def finished(evidence: Evidence, variant: str) -> str:
    """`two of three seeds finished`."""
    done, planned = len(evidence.usable(variant, ACCURACY)), len(evidence.runs[variant])
    return f"{words.spelled(done)} of {words.spelled(planned)} seeds finished"


def few_seeds(evidence: Evidence, variants: Sequence[str]) -> str:
    """Who was trained how often, where that is too seldom."""
    planned = {len(evidence.runs[v]) for v in variants}
    counts = {v: len(evidence.usable(v, ACCURACY)) for v in variants}
    if planned == set(counts.values()) and len(planned) == 1:
        least = planned.pop()
        times = {1: "once (one seed)", 2: "twice (two seeds)"}
        return f"Each variant was trained {times.get(least, f'{least} times')}."
    few = [v for v, n in counts.items() if n < LEAST_SEEDS]
    told = [f"{evidence.label(v)} ({finished(evidence, v)})" for v in few]
    return f"Too few runs: {words.listed(told)}."


def difference_claim(
    evidence: Evidence,
    outcome: Outcome,
    section: str,
    mean_of: str = "",
    *,
    detectable: bool = False,
) -> dict[str, Any]:
    """One contrast as a sentence; `detectable`: with what could have been shown."""
    made, test, metric = outcome.contrast, outcome.test, words.metric(outcome.column)
    images = min(
        row.cells.get("test_n", 1000)
        for p in made.pairs.values()
        for r in p
        for row in r
    )
    digits = words.decimals(images, test.n)
    least = ""
    if detectable and outcome.least:
        size = words.amount(outcome.least, metric.unit, max(1, digits))
        least = (
            f" With this spread, a true difference of {size} would be shown in four of "
            "five repetitions."
        )
    return judged(
        DIFFERENCE,
        test,
        made.id,
        section,
        made.inputs(outcome.column),
        kind=made.kind,
        about=made.about,
        contrast=made.told(outcome.column),
        metric=metric.words[:1].upper() + metric.words[1:],
        first=made.first,
        second=made.second,
        difference=words.amount(test.estimate, metric.unit, digits),
        signed=words.signed(test.estimate, metric.unit, digits),
        interval=words.interval(test.low, test.high, metric.unit, digits),
        seeds=words.number_of(test.n, "seed"),
        how=outcome.how,
        detectable=least,
        least=words.spelled(LEAST_SEEDS),
        mean_of=mean_of,
    )


def power_claim(
    evidence: Evidence, placed: Ranking, leading: Sequence[Outcome]
) -> dict[str, Any]:
    """How fine a difference the ranked variants' seeds can show."""
    layout, order = placed.layout, list(placed.means)
    images = max(evidence.images(variant) for variant in order)
    digits = max(1, words.decimals(images, layout.n))
    scattered, uneven = layout.uneven(), ""
    if scattered is not None:
        uneven = UNEVEN.format(label=evidence.label(order[scattered]))
    return plain(
        POWER,
        "power",
        "ranking",
        [one for o in leading for one in o.contrast.inputs(ACCURACY)],
        n=layout.n,
        estimate=layout.detectable(),
        sd=words.points(layout.sd, digits),
        variants=words.spelled(len(order)),
        detectable=words.points(layout.detectable(), digits),
        made=leading[0].made,
        seeds=words.number_of(layout.n, "seed"),
        uneven=uneven,
    )


def difference_claims(
    evidence: Evidence,
    outcomes: Sequence[Outcome],
    section: str,
    notes: dict[str, str] | None = None,
) -> Claims:
    """Each contrast as a sentence, the first that is not shown with what could have been.

    notes: contrast's id → what its figures are means of.
    """
    unshown = [
        o.contrast.id
        for o in outcomes
        if o.test.verdict is Verdict.NOT_SHOWN and o.least
    ][:1]
    return [
        difference_claim(
            evidence,
            outcome,
            section,
            (notes or {}).get(outcome.contrast.id, ""),
            detectable=outcome.contrast.id in unshown,
        )
        for outcome in outcomes
    ]
