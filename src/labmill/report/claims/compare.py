"""The study's own questions (`compare`): the effect of a factor, alone and by level."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labmill.evaluation.statistics import Verdict, holm, paired_images, verdict
from labmill.report.claims import words
from labmill.report.claims.accuracy import (
    ACCURACY,
    NO_ANSWER,
    SIDE_BY_SIDE,
    Claims,
    difference_claim,
)
from labmill.report.claims.evidence import (
    Contrast,
    Evidence,
    compare_seeds,
    contrast,
    correct,
)
from labmill.report.claims.images import image_claims
from labmill.report.claims.template import Judged, Test, judged, plain

# Counted or timed once per network: there is no spread over seeds to test against.
COUNTED = ("parameters", "macs", "operations")

CLASS = Judged(
    higher="Class {name}: its accuracy is {difference} higher with {first} than with "
    "{second} ({how}, {p} after Holm's correction over the {classes} classes).",
    lower="Class {name}: its accuracy is {difference} lower with {first} than with "
    "{second} ({how}, {p} after Holm's correction over the {classes} classes).",
    not_shown="Class by class, no difference between {first} and {second} is shown for "
    "any of the {classes} classes ({how}, smallest {p} after Holm's correction).",
    too_few="Class by class, nothing can be said about {first} and {second} ({how}).",
)


def compare_claims(evidence: Evidence) -> Claims:
    """All questions of the study, each a family of its own."""
    return [
        claim
        for name, question in evidence.study["compare"].items()
        for claim in question_claims(evidence, name, question)
    ]


def question_claims(
    evidence: Evidence, name: str, question: Mapping[str, Any]
) -> Claims:
    """Each level against the first one: over all pairs of variants, then pair by pair."""
    (reference, base), *others = question["levels"].items()
    column = question["metric"]
    claims: Claims = []
    contrasts, notes = [], []
    for level, variants in others:
        pairs = list(zip(variants, base, strict=False))
        labels = (words.named(level), words.named(reference))
        whole = contrast(evidence, f"compare:{name}:{level}", labels, pairs, column)
        if not whole.pairs:
            claims.append(no_answer(evidence, whole, pairs))
            continue
        if column in COUNTED or column.startswith("latency"):
            claims.append(side_by_side(whole, column))
            continue
        contrasts.append(whole)
        notes.append(f" (mean of {len(pairs)} pairs of variants)" * (len(pairs) > 1))
        if len(pairs) > 1:
            for a, b in pairs:
                names = (evidence.label(a), evidence.label(b))
                id = f"compare:{name}:{level}:{a}:{b}"
                contrasts.append(contrast(evidence, id, names, [(a, b)], column))
                notes.append("")
    outcomes = compare_seeds(contrasts, [column] * len(contrasts), f"question {name}")
    note = {one.id: said for one, said in zip(contrasts, notes, strict=True)}
    claims += [
        difference_claim(evidence, outcome, "compare", note[outcome.contrast.id])
        for outcome in outcomes
    ]
    if column != ACCURACY:
        return claims
    few = [o.contrast for o in outcomes if o.test.verdict is Verdict.TOO_FEW]
    single = [one for one in few if len(next(iter(one.pairs.values()))) == 1]
    claims += image_claims(evidence, single, "compare")
    for outcome in outcomes:
        if note[outcome.contrast.id] or len(outcome.contrast.id.split(":")) == 3:
            claims += class_claims(evidence, outcome.contrast)
    return claims


def no_answer(
    evidence: Evidence, whole: Contrast, pairs: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """A question whose runs failed."""
    variants = words.listed(evidence.label(v) for pair in pairs for v in pair)
    return plain(NO_ANSWER, whole.id, "compare", [], variants=variants)


def side_by_side(whole: Contrast, column: str) -> dict[str, Any]:
    """Counts and timings of a network, which no seed changes, next to each other."""
    metric = words.metric(column)
    first = next(iter(whole.pairs.values()))
    sides = [
        words.listed(words.significant(pair[side].cells[column]) for pair in first)
        for side in (0, 1)
    ]
    return plain(
        SIDE_BY_SIDE,
        whole.id,
        "compare",
        whole.inputs(column),
        metric=metric.words[:1].upper() + metric.words[1:],
        first=whole.first,
        second=whole.second,
        first_values=sides[0],
        second_values=sides[1],
    )


def class_claims(evidence: Evidence, whole: Contrast) -> Claims:
    """Gains and losses by class; where none is shown, one claim says so."""
    first = next(iter(whole.pairs.values()))[0][0]
    columns = [name for name in first.cells if name.startswith("class_accuracy.")]
    columns = [
        name
        for name in columns
        if all(name in row.cells for p in whole.pairs.values() for r in p for row in r)
    ]
    family = f"classes of {whole.id}"
    if len(whole.pairs) >= 3:
        outcomes = compare_seeds([whole] * len(columns), columns, family)
        tests = [outcome.test for outcome in outcomes]
        how = f"paired t-tests over {words.number_of(len(whole.pairs), 'seed')}"
    elif len(next(iter(whole.pairs.values()))) == 1:
        tests = class_image_tests(evidence, whole, len(columns), family)
        seed = whole.seeds[0]
        how = f"these test images, these two trained networks (seed {seed})"
    else:
        return []
    claims = []
    for column, test in zip(columns, tests, strict=True):
        if test.verdict in (Verdict.HIGHER, Verdict.LOWER):
            claims.append(class_claim(whole, column, test, how, len(columns)))
    if claims or not tests:
        return claims
    nearest = min(
        tests, key=lambda test: 1.0 if test.p_adjusted is None else test.p_adjusted
    )
    return [class_claim(whole, None, nearest, how, len(columns), columns)]


def class_claim(
    whole: Contrast,
    column: str | None,
    test: Test,
    how: str,
    classes: int,
    columns: Sequence[str] = (),
) -> dict[str, Any]:
    """One class, or the whole list of classes where none is shown."""
    used = [column] if column else list(columns)
    name = column.partition(".")[2] if column else ""
    return judged(
        CLASS,
        test,
        f"classes:{whole.id}" + (f":{name}" if column else ""),
        "classes",
        [one for key in used for one in whole.inputs(key)],
        name=words.named(name),
        first=whole.first,
        second=whole.second,
        difference=words.points(test.estimate, 0),
        classes=classes,
        how=how,
        p=words.p_value(1.0 if test.p_adjusted is None else test.p_adjusted),
    )


def class_image_tests(
    evidence: Evidence, whole: Contrast, classes: int, family: str
) -> list[Test]:
    """McNemar's test on the images of each class, for one pair of networks."""
    ((first, second),) = next(iter(whole.pairs.values()))
    right, labels = correct(evidence, first)
    other, _ = correct(evidence, second)
    present = [k for k in range(int(labels.max()) + 1) if np.any(labels == k)]
    compared = [paired_images(right[labels == k], other[labels == k]) for k in present]
    adjusted = holm([one.p for one in compared])
    return [
        Test(
            name="McNemar's exact test over test images",
            n=one.n,
            family=family,
            estimate=one.estimate,
            low=one.low,
            high=one.high,
            p=one.p,
            p_adjusted=p_adjusted,
            verdict=verdict(p_adjusted, estimate=one.estimate, n_seeds=None),
        )
        for one, p_adjusted in zip(compared[:classes], adjusted[:classes], strict=True)
    ]
