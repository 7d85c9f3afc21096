"""The study's own questions (`compare`): the effect of a factor, alone and by level."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labmill.evaluation.statistics import (
    LEAST_SEEDS,
    Verdict,
    holm,
    paired_images,
    verdict,
)
from labmill.report.budgets import sweeps
from labmill.report.claims import words
from labmill.report.claims.accuracy import (
    NO_ANSWER,
    SIDE_BY_SIDE,
    Claims,
    difference_claims,
)
from labmill.report.claims.evidence import (
    Contrast,
    Evidence,
    between,
    compare_seeds,
    contrast,
    correct,
)
from labmill.report.claims.images import image_claims
from labmill.report.claims.ranking import ACCURACY, Ranking, judge, ranking
from labmill.report.claims.template import Judged, Kind, Test, judged, plain

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
    """All questions of the study; a pair of variants that two ask about is told once."""
    placed, told = ranking(evidence), set()
    return [
        claim
        for name in evidence.study["compare"]
        for claim in question_claims(evidence, name, placed, told)
    ]


def question_claims(
    evidence: Evidence, name: str, placed: Ranking, told: set[Any]
) -> Claims:
    """Each level against the first one: over all pairs of variants, then pair by pair.

    told: (pair, metric) of the claims so far; those of this question are added.
    """
    question = evidence.study["compare"][name]
    (_, base), *others = question["levels"].items()
    column = question["metric"]
    claims: Claims = []
    wholes, single, notes = [], [], {}
    for level, variants in others:
        pairs = list(zip(variants, base, strict=False))
        whole = contrast(
            evidence,
            f"compare:{name}:{level}",
            level_names(evidence, question["levels"], level),
            pairs,
            column,
            kind=Kind.QUESTION,
            about=name,
        )
        if not whole.pairs:
            claims.append(no_answer(evidence, whole, pairs))
        elif column in COUNTED or column.startswith("latency"):
            claims.append(side_by_side(whole, column))
        else:
            wholes.append(whole)
            parts = [whole]
            if len(pairs) > 1:
                notes[whole.id] = f" (mean of {len(pairs)} pairs of variants)"
                parts = [part(evidence, whole, pair, column) for pair in pairs]
            for one in parts:
                key = (frozenset(one.variants[0]), column)
                if key not in told:
                    single.append(one)
                told.add(key)
    # Over label counts, the pairs are a family of their own (`budget_claims`).
    swept = any(sweep.name == name for sweep in sweeps(evidence.study))
    tested = (
        [*wholes] if swept else list({c.id: c for c in [*wholes, *single]}.values())
    )
    outcomes = judge(placed, tested, column, f"question {name}")
    claims += difference_claims(evidence, outcomes, "compare", notes)
    if column == ACCURACY:
        few = [one for one in single if len(one.pairs) < LEAST_SEEDS]
        claims += image_claims(evidence, few, "compare")
        for whole in wholes:
            claims += class_claims(evidence, whole)
    return claims


def level_names(
    evidence: Evidence, levels: Mapping[str, Sequence[str]], level: str
) -> tuple[str, str]:
    """A level and the first, as names in a sentence.

    One that is a single variant is named by that variant: what holds for it need not
    hold for others that could stand under the level's name.
    """
    names = []
    for one in (level, next(iter(levels))):
        name, *more = dict.fromkeys(evidence.label(v) for v in levels[one])
        level_name = words.named(one)
        if more:
            name = level_name
        elif words.escape(one).casefold() not in name.casefold():
            name = f"{level_name} ({name})"
        names.append(name)
    return names[0], names[1]


def part(
    evidence: Evidence, whole: Contrast, pair: tuple[str, str], column: str
) -> Contrast:
    """One pair of variants of a question."""
    id = ":".join([whole.id, *pair])
    return between(evidence, id, pair, column, about=whole.about)


def no_answer(
    evidence: Evidence, whole: Contrast, pairs: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """A question whose runs failed."""
    variants = words.listed(evidence.label(v) for pair in pairs for v in pair)
    return plain(
        NO_ANSWER,
        whole.id,
        "compare",
        [],
        kind=whole.kind,
        about=whole.about,
        variants=variants,
    )


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
        kind=whole.kind,
        about=whole.about,
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
    if len(whole.pairs) >= LEAST_SEEDS:
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
        about=whole.about,
        contrast=whole.told(column or "class_accuracy"),
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
