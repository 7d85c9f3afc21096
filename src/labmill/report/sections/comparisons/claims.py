"""The study's own questions (`compare`): the effect of a factor, alone and by level."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from labmill.report.claims.claim import Claim, Kind, Phrase, Statement, claim
from labmill.report.claims.comparison import (
    ACCURACY,
    Comparison,
    Evidence,
    Key,
    Outcome,
    TestedFamily,
    correct,
)
from labmill.report.claims.differences import difference_claim
from labmill.report.claims.findings import Findings, Question, findings, question
from labmill.report.claims.images import image_claims, image_tests
from labmill.report.number_format import quantity
from labmill.report.results import StudyResults
from labmill.report.sections.comparisons.label_counts import label_count_claims
from labmill.report.text import number_of
from labmill.stats.margins import Verdict
from labmill.stats.significance import LEAST_SEEDS, holm
from labmill.study.metrics import metric, metrics_of, untestable

CLASS = "class_accuracy."

NO_ANSWER = Statement(
    "This question has no answer here: no run of {variants:names} finished."
)
UNTRAINED = Statement(
    "{column:Metric}: there is no verdict on {first} and {second}, because runs of "
    "{variants:names} learned too little."
)
SIDE_BY_SIDE = Statement(
    "{column:Metric}: {first_values:list} with {first}, {second_values:list} with "
    "{second}."
)
DISAGREE = Statement(
    "{first} and {second} differ in {differ:list}, but not every metric of this question "
    "shows that: {others:list}."
)
OTHER_METRIC = "{column:metric} is {word}"
CLASSES = Statement(
    "By class, the accuracy of {first} minus that of {second} is {list:list.20} ({how}, "
    "corrected for {n:classes}; {rest})."
)
ONE_CLASS = "{change:signed} for class {name:name}"


def make_claims(results: StudyResults) -> list[Claim]:
    """Return all questions' answers; a pair that two ask about is compared once."""
    known: set[tuple[Key, str]] = set()
    answers = [
        found
        for name in results.study["compare"]
        for found in question_claims(results, name, known)
    ]
    return [*label_count_claims(results), *answers]


def question_claims(
    results: StudyResults, name: str, known: set[tuple[Key, str]]
) -> list[Claim]:
    """Compare each level with the first one in each metric, then where metrics disagree.

    known: what the claims so far compare; the comparisons of this question are added.
    """
    columns = metrics_of(results.study["compare"][name]["metric"])
    claims = [
        found
        for column in columns
        for found in metric_claims(results, name, column, known)
    ]
    return [*claims, *disagreements(results, name, columns)]


def metric_claims(
    results: StudyResults, name: str, column: str, known: set[tuple[Key, str]]
) -> Iterator[Claim]:
    """Yield a question's answers in one metric: wholes, pairs, single networks, classes."""
    asked, found = question(results, name, column), findings(results, column)
    for whole in asked.wholes:
        if missing := [v for v in whole.rows if not results.usable(v, column)]:
            yield no_answer(results, whole, missing)
        elif untestable(column):
            yield side_by_side(results, whole, column)
        elif not asked.swept:
            if len(whole.pairs) == 1:
                known.add((whole.key, column))
            yield verdict_claim(results, found, whole, mean_of(whole))
    pairs = [one for parts in asked.parts.values() for one in parts]
    new = [one for one in pairs if (one.key, column) not in known]
    known |= {(one.key, column) for one in new}
    if not untestable(column) and not asked.swept:
        for one in new:
            if all(results.usable(variant, column) for variant in one.rows):
                yield verdict_claim(results, found, one)
    if column == ACCURACY:
        yield from details(found, asked, new)


def details(
    found: Findings, asked: Question, pairs: Sequence[Comparison]
) -> Iterator[Claim]:
    """Yield what single networks show where seeds are few, and classes that differ."""
    single = [*pairs, *(one for one in asked.wholes if len(one.pairs) == 1)]
    evidence = found.evidence
    few = [
        one
        for one in single
        if evidence.has(one) and evidence.fewest(one) < LEAST_SEEDS
    ]
    yield from image_claims(evidence, few, "comparisons")
    for whole in asked.wholes:
        if evidence.has(whole) and not asked.swept:
            yield from class_claims(evidence, whole)


def mean_of(whole: Comparison) -> str:
    """Return what the numbers of a comparison are means of."""
    pairs = len(whole.pairs)
    return f" (mean of {pairs} pairs of variants)" if pairs > 1 else ""


def verdict_claim(
    results: StudyResults, found: Findings, one: Comparison, note: str = ""
) -> Claim:
    """Return a verdict, or that there is none because runs learned too little."""
    if outcome := found.outcome(one):
        return difference_claim(outcome, note)
    untrained = [v for v in one.rows if v in results.untrained]
    runs = [run for v in untrained for run in results.usable(v, found.column).values()]
    return claim(
        UNTRAINED,
        one.id,
        [run.input(found.column) for run in runs],
        kind=one.kind,
        about=one.about,
        column=found.column,
        first=one.first,
        second=one.second,
        variants=[results.label(variant) for variant in untrained],
    )


def no_answer(
    results: StudyResults, whole: Comparison, missing: Sequence[str]
) -> Claim:
    """Return that a question's runs failed."""
    return claim(
        NO_ANSWER,
        whole.id,
        [],
        kind=whole.kind,
        about=whole.about,
        variants=[results.label(variant) for variant in missing],
    )


def side_by_side(results: StudyResults, whole: Comparison, column: str) -> Claim:
    """Return counts and times of networks, means over seeds."""
    runs = {v: list(results.usable(v, column).values()) for v in whole.rows}
    means = {v: np.mean([run.cells[column] for run in of]) for v, of in runs.items()}
    unit = metric(column).unit
    first, second = (
        [quantity(float(means[pair[side]]), unit, 1) for pair in whole.pairs]
        for side in (0, 1)
    )
    return claim(
        SIDE_BY_SIDE,
        whole.id,
        [run.input(column) for of in runs.values() for run in of],
        kind=whole.kind,
        about=whole.about,
        column=column,
        first=whole.first,
        second=whole.second,
        first_values=first,
        second_values=second,
    )


def disagreements(
    results: StudyResults, name: str, columns: Sequence[str]
) -> Iterator[Claim]:
    """Yield the levels that differ in one metric of the question and not in another."""
    columns = [column for column in columns if not untestable(column)]
    by_metric = [question(results, name, column).wholes for column in columns]
    for wholes in zip(*by_metric, strict=True):
        outcomes = [
            outcome
            for column, whole in zip(columns, wholes, strict=True)
            if (outcome := findings(results, column).outcome(whole))
            and outcome.test.made
        ]
        differ = [
            o for o in outcomes if o.test.verdict in (Verdict.HIGHER, Verdict.LOWER)
        ]
        others = [o for o in outcomes if o not in differ]
        if differ and others:
            yield disagreement(wholes[0], differ, others)


def disagreement(
    whole: Comparison, differ: Sequence[Outcome], others: Sequence[Outcome]
) -> Claim:
    """Return in which metrics two sides differ, and the verdict in the others."""
    return claim(
        DISAGREE,
        f"{whole.id}:metrics",
        [one for outcome in (*differ, *others) for one in outcome.inputs()],
        kind=Kind.QUESTION,
        about=whole.about,
        first=whole.first,
        second=whole.second,
        differ=[metric(outcome.column).words for outcome in differ],
        others=[
            Phrase(OTHER_METRIC, column=o.column, word=str(o.test.verdict))
            for o in others
        ],
    )


def class_claims(evidence: Evidence, whole: Comparison) -> list[Claim]:
    """Return the classes whose accuracy differs, in one sentence; none where none does."""
    runs = [run for row in whole.rows for run in evidence.runs[row].values()]
    columns = [
        name
        for name in runs[0].cells
        if name.startswith(CLASS) and all(name in run.cells for run in runs)
    ]
    if evidence.fewest(whole) >= LEAST_SEEDS:
        shown = classes_over_seeds(evidence, whole, columns)
        how = f"Welch's t-tests over {number_of(evidence.fewest(whole), 'seed')}"
    else:
        seeds = evidence.seeds(whole)
        if len(whole.pairs) > 1 or not seeds:
            return []
        shown = classes_over_images(evidence, whole, seeds[0], columns)
        how = f"McNemar's tests over test images, one seed ({seeds[0]})"
    if not shown:
        return []
    rest = len(columns) - len(shown)
    return [
        claim(
            CLASSES,
            f"classes:{whole.id}",
            [run.input(column) for column in columns for run in runs],
            about=whole.about,
            n=len(columns),
            first=whole.first,
            second=whole.second,
            how=how,
            list=[
                Phrase(ONE_CLASS, name=column.removeprefix(CLASS), change=value)
                for column, value in sorted(shown.items(), key=lambda one: -one[1])
            ],
            rest=undecided(rest),
            digits=0,
        )
        | {"section": "classes"}
    ]


def undecided(rest: int) -> str:
    """Return how many classes have no verdict."""
    if rest < 2:
        return "one other stays undecided" if rest else "none stays undecided"
    return f"the other {rest} stay undecided"


def classes_over_seeds(
    evidence: Evidence, whole: Comparison, columns: Sequence[str]
) -> Mapping[str, float]:
    """Return the classes whose accuracy differs over seeds → the difference."""
    tests = []
    for column in columns:
        rows = {row: evidence.runs[row] for row in whole.rows}
        family = TestedFamily.of(
            Evidence(rows, column, 0.0, evidence.overlap), [whole], column
        )
        outcome = family.outcome(whole)
        assert outcome is not None
        tests.append(outcome.test)
    adjusted = holm([test.p for test in tests])
    return {
        column: test.estimate
        for column, test, p in zip(columns, tests, adjusted, strict=True)
        if p is not None and p <= 0.05 * evidence.error_share(len(columns))
    }


def classes_over_images(
    evidence: Evidence, whole: Comparison, seed: int, columns: Sequence[str]
) -> Mapping[str, float]:
    """Return the classes on whose images one network is right more often."""
    first, second = (evidence.runs[row][seed] for row in whole.pairs[0])
    (right, labels), (other, _) = correct(first), correct(second)
    present = [k for k in range(len(columns)) if np.any(labels == k)]
    pairs = [(right[labels == k], other[labels == k]) for k in present]
    tests = image_tests(pairs, whole.id, evidence.margin)
    return {
        columns[k]: test.estimate
        for k, (test, _) in zip(present, tests, strict=True)
        if test.verdict in (Verdict.HIGHER, Verdict.LOWER)
    }
