"""Which variant, and what a factor does: tests over seeds, or over images for one seed."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from labmill.evaluation.statistics import (
    Verdict,
    mean_over_seeds,
    minimum_detectable_effect,
)
from labmill.report.claims import words
from labmill.report.claims.evidence import (
    LEAST_SEEDS,
    Evidence,
    Outcome,
    compare_seeds,
    contrast,
    worst,
)
from labmill.report.claims.images import image_claims
from labmill.report.claims.template import Judged, Plain, Test, judged, plain

Claims = list[dict[str, Any]]
ACCURACY = "test_accuracy"

SCORE = Plain(
    "Of the {images} test images, {label} gets {mean} right ({seeds}{interval})."
)
BEST = Judged(
    higher="The highest test accuracy is that of {leader}: {mean} ({seeds}). "
    "Its difference from each of the other {others} is shown; the smallest is "
    "{difference} (to {next}; {interval}, paired t-test over seeds, {p} after Holm's "
    "correction over all {pairs} pairs of variants).",
    lower=None,  # it has the largest mean
    not_shown="{leader} comes first with a test accuracy of {mean} ({seeds}), but these "
    "runs do not show that it would come first again: no difference is shown between it and {open} (paired t-tests over seeds, Holm's "
    "correction over all {pairs} pairs of variants).",
    too_few="{few} Trained again from other random starting weights, every network would "
    "score a little differently, and from so few runs nobody can tell such luck from a "
    "real difference. So the variants cannot be ranked: give each at least "
    "{least} seeds.",
)
DIFFERENCE = Judged(
    higher="{metric}{mean_of} is {difference} higher with {first} than with {second} "
    "({interval}, {seeds}, paired t-test, {p} after Holm's correction; sign-flip test "
    "{flip}).",
    lower="{metric}{mean_of} is {difference} lower with {first} than with {second} "
    "({interval}, {seeds}, paired t-test, {p} after Holm's correction; sign-flip test "
    "{flip}).",
    not_shown="{metric}{mean_of}: no difference between {first} and {second} is shown "
    "({signed}; {interval}, {seeds}, paired t-test, {p} after Holm's correction{before}). "
    "With this spread, {seeds} could show no less than {detectable}{alone}.",
    too_few="{metric}{mean_of}: from {seeds} it cannot be said whether {first} and "
    "{second} differ; at least {least} are needed.",
)
POWER = Plain(
    "How fine a difference these runs can show: two variants' test accuracies differ "
    "from seed to seed with a standard deviation of {sd} (over {pairs}), so "
    "{seeds} could show no less than {detectable} in four of five repetitions, before "
    "any correction for several tests."
)
NO_ANSWER = Plain(
    "This question has no answer here: of {variants} no run with a common seed was "
    "finished."
)
SIDE_BY_SIDE = Plain(
    "{metric}: {first_values} with {first}, {second_values} with {second}."
)


def ranking_claims(evidence: Evidence) -> Claims:
    """Which variant comes first, and whether that is shown."""
    runs = {v: evidence.usable(v, ACCURACY) for v in evidence.ranked}
    means = {
        variant: float(np.mean([row.cells[ACCURACY] for row in found.values()]))
        for variant, found in runs.items()
        if found
    }
    order = sorted(means, key=lambda variant: -means[variant])
    if not order:
        return []
    if len(order) == 1:
        return [score_claim(evidence, order[0])]
    outcomes = pairs_of(evidence, order)
    leading = [o for o in outcomes if o.contrast.id.startswith(f"pair:{order[0]}:")]
    if not leading:
        return []
    claims = [best_claim(evidence, order, leading, len(outcomes))]
    claims += [
        difference_claim(evidence, outcome, "ranking")
        for outcome in leading
        if outcome.test.verdict is not Verdict.TOO_FEW
    ]
    single = [o.contrast for o in leading if o.test.verdict is Verdict.TOO_FEW]
    claims += image_claims(evidence, single, "ranking")
    return claims + power_claims(evidence, outcomes)


def pairs_of(evidence: Evidence, order: Sequence[str]) -> list[Outcome]:
    """Every pair of variants, the one that stands first in `order` minus the other."""
    contrasts = [
        contrast(
            evidence,
            f"pair:{a}:{b}",
            (evidence.label(a), evidence.label(b)),
            [(a, b)],
            ACCURACY,
        )
        for a, b in combinations(order, 2)
    ]
    return compare_seeds(
        contrasts, [ACCURACY] * len(contrasts), "all pairs of variants"
    )


def score_claim(evidence: Evidence, variant: str) -> dict[str, Any]:
    """The accuracy of a study's only variant."""
    rows = list(evidence.usable(variant, ACCURACY).values())
    mean = mean_over_seeds([row.cells[ACCURACY] for row in rows])
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
        n=mean.n,
        estimate=mean.estimate,
        images=f"{images:,}",
        label=evidence.label(variant),
        mean=words.percent(mean.estimate, digits),
        seeds=words.number_of(mean.n, "seed"),
        interval=ends,
    )


def best_claim(
    evidence: Evidence, order: Sequence[str], leading: Sequence[Outcome], pairs: int
) -> dict[str, Any]:
    """Whether the first stays first: its difference from every other must be shown."""
    leader = order[0]
    rows = evidence.usable(leader, ACCURACY).values()
    weakest = max(leading, key=lambda o: (o.test.p_adjusted or 0.0, -o.test.estimate))
    word = worst(leading)
    test = Test(**vars(weakest.test) | {"verdict": word})
    digits = words.decimals(evidence.images(leader), len(rows))
    counts = {v: len(evidence.usable(v, ACCURACY)) for v in order}
    return judged(
        BEST,
        test,
        "best",
        "ranking",
        [one for outcome in leading for one in outcome.contrast.inputs(ACCURACY)],
        leader=evidence.label(leader),
        mean=words.percent(
            float(np.mean([row.cells[ACCURACY] for row in rows])), digits
        ),
        seeds=words.averaged(len(rows)),
        others=words.spelled(len(order) - 1),
        next=weakest.contrast.second,
        difference=words.points(weakest.test.estimate, digits),
        interval=words.interval(weakest.test.low, weakest.test.high, "%", digits),
        p=words.p_value(weakest.test.p_adjusted or 0.0),
        pairs=pairs,
        open=words.listed(
            o.contrast.second for o in leading if o.test.verdict is not Verdict.HIGHER
        ),
        few=few_seeds(evidence, counts),
        least=words.spelled(LEAST_SEEDS),
    )


def few_seeds(evidence: Evidence, counts: dict[str, int]) -> str:
    """Who was trained how often, where that is too seldom."""
    least = min(counts.values())
    times = {1: "once (one seed)", 2: "twice (two seeds)"}.get(least, f"{least} times")
    if set(counts.values()) == {least}:
        return f"Each variant was trained {times}."
    few = [evidence.label(v) for v, n in counts.items() if n == least]
    return f"Trained only {times}: {words.listed(few)}."


def difference_claim(
    evidence: Evidence, outcome: Outcome, section: str, mean_of: str = ""
) -> dict[str, Any]:
    """One contrast as a sentence."""
    made, test, metric = outcome.contrast, outcome.test, words.metric(outcome.column)
    images = min(
        row.cells.get("test_n", 1000)
        for p in made.pairs.values()
        for r in p
        for row in r
    )
    digits = words.decimals(images, test.n)
    least = minimum_detectable_effect(outcome.comparison.sd or 0.0, test.n)
    several = test.p is not None and test.p != test.p_adjusted
    return judged(
        DIFFERENCE,
        test,
        made.id,
        section,
        made.inputs(outcome.column),
        metric=metric.words[:1].upper() + metric.words[1:],
        first=made.first,
        second=made.second,
        difference=words.amount(test.estimate, metric.unit, digits),
        signed=words.signed(test.estimate, metric.unit, digits),
        interval=words.interval(test.low, test.high, metric.unit, digits),
        seeds=words.number_of(test.n, "seed"),
        p=words.p_value(1.0 if test.p_adjusted is None else test.p_adjusted),
        flip=words.p_value(outcome.comparison.sign_flip_p),
        detectable=words.amount(least or 0.0, metric.unit, digits),
        before=f", {words.p_value(test.p)} before it" if several else "",
        alone=", before any correction for several tests" if several else "",
        least=words.spelled(LEAST_SEEDS),
        mean_of=mean_of,
    )


def power_claims(evidence: Evidence, outcomes: Sequence[Outcome]) -> Claims:
    """What the study's seeds could show, from the pooled spread of all pairs."""
    sds = [o.comparison.sd for o in outcomes if o.comparison.sd is not None]
    if not sds:
        return []
    n = min(o.comparison.n for o in outcomes if o.comparison.sd is not None)
    pooled = float(np.sqrt(np.mean(np.square(sds))))
    least = minimum_detectable_effect(pooled, n)
    images = max(evidence.images(variant) for variant in evidence.runs)
    digits = max(1, words.decimals(images, n))
    return [
        plain(
            POWER,
            "power",
            "ranking",
            [one for o in outcomes for one in o.contrast.inputs(ACCURACY)],
            n=n,
            estimate=least,
            seeds=words.number_of(n, "seed"),
            sd=words.points(pooled, digits),
            pairs=words.number_of(len(sds), "pair") + " of variants",
            detectable=words.points(least or 0.0, digits),
        )
    ]
