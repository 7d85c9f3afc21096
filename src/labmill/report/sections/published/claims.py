"""An earlier report's metrics compared with ours."""

from collections.abc import Mapping, Sequence

import numpy as np

from labmill.report.claims.claim import (
    Claim,
    Phrase,
    Statement,
    Test,
    TestedStatement,
    claim,
)
from labmill.report.number_format import decimals
from labmill.report.results import StudyResults
from labmill.report.runs import Run, mean
from labmill.report.sections.published.edits import published_edit_claims
from labmill.stats import runs
from labmill.stats.margins import verdict
from labmill.stats.significance import LEAST_SEEDS, holm
from labmill.study.metrics import metric

PUBLISHED = TestedStatement(
    higher="{column:Metric} of {label:name}: ours, {ours:percent} ({n:mean}), is "
    "{estimate:points} higher than the published {theirs:percent.1} ({ends:interval}).",
    lower="{column:Metric} of {label:name}: ours, {ours:percent} ({n:mean}), is "
    "{estimate:points} lower than the published {theirs:percent.1} ({ends:interval}).",
    equal="{column:Metric} of {label:name}: ours, {ours:percent} ({n:mean}), is practically "
    "equal to the published {theirs:percent.1} ({estimate:signed}; {ends:interval}).",
    undecided="{column:Metric} of {label:name}: ours is {ours:percent} ({n:mean}), the "
    "published one {theirs:percent.1}; whether they differ is undecided "
    "({estimate:signed}; {ends:interval}).",
    untested="{column:Metric} of {label:name}: ours is {ours:percent} ({n:mean}), published "
    "{theirs:percent.1}; there is no test.",
)
NOT_TESTED = Statement(
    "{column:Metric} of {label:name}: ours {estimate:quantity} ({n:mean}), published "
    "{theirs:quantity}{elsewhere}.{note}"
)
CLASSES = Statement(
    "Class accuracy of {label:name}, ours ({n:mean}) and published: "
    "{classes:semicolons}.{note}"
)
CONFUSION = Statement(
    "{label:name} takes {estimate:percent.0} of the test images of class {name:name} for "
    "{other:name} ({n:mean}); published: {theirs:percent.0}."
)


def make_claims(results: StudyResults) -> list[Claim]:
    """Return published metrics and edits, compared with ours."""
    return [*published_claims(results), *published_edit_claims(results)]


def published_claims(results: StudyResults) -> list[Claim]:
    """Compare an earlier report's metrics, single numbers of unknown spread.

    A test needs the same task: full scale, a metric of an official test part, trained
    networks, and no declared difference (`published.notes`).
    """
    published = results.study["published"]
    if not published:
        return []
    confusions = [
        found
        for variant, classes in published["confusions"].items()
        for true, others in classes.items()
        for other, share in others.items()
        for found in confusion(results, variant, true, other, share)
    ]
    if results.scale != "full":
        return confusions
    claims: list[Claim] = []
    tested: list[tuple[str, str, float, list[Run]]] = []
    for variant, metrics in published["variants"].items():
        about = published["notes"].get(variant, "")
        alike = not about and official(results) and variant not in results.untrained
        note = Phrase(" What differs: {about:text}.", about=about) if about else None
        # What differs is printed with the first metric.
        for column, value in sorted(
            metrics.items(), key=lambda one: metric(one[0]).unit != "%"
        ):
            if isinstance(value, Mapping):
                claims += class_list(results, variant, value, note)
            elif rows := list(results.usable(variant, column).values()):
                shares = metric(column).unit == "%" and column.startswith("test_")
                if alike and shares and len(rows) >= LEAST_SEEDS:
                    tested.append((variant, column, value, rows))
                else:
                    claims.append(
                        not_tested(results, variant, column, value, rows, note)
                    )
            note = None
    return against_published(results, tested) + claims + confusions


def official(results: StudyResults) -> bool:
    """Return True if the test images are those that the dataset's authors chose."""
    whole, split = not results.study["data"]["test_limit"], results.split_summary
    return whole and split is not None and split.official_test


def confusion(
    results: StudyResults, variant: str, true: str, other: str, theirs: float
) -> list[Claim]:
    """Return how often one class is taken for another, here and there."""
    rows = list(results.usable(variant, "test_accuracy").values())
    if not rows or not {true, other} <= set(rows[0].metrics["classes"]):
        return []
    matrix = np.sum([row.metrics["parts"]["test"]["confusion"] for row in rows], axis=0)
    i, j = (rows[0].metrics["classes"].index(name) for name in (true, other))
    return [
        claim(
            CONFUSION,
            f"published:{variant}:{true}:{other}",
            [row.source("metrics", "parts.test.confusion") for row in rows],
            n=len(rows),
            estimate=float(matrix[i][j] / max(1, sum(matrix[i]))),
            label=results.label(variant),
            name=true,
            other=other,
            theirs=theirs,
        )
    ]


def against_published(
    results: StudyResults, tested: Sequence[tuple[str, str, float, list[Run]]]
) -> list[Claim]:
    """Test our seeds against published numbers, Holm over all.

    A published number is one run, whose spread is taken to be that of ours. The
    intervals are corrected for the comparisons that Holm's method leaves.
    """
    values = [[row.cells[column] for row in rows] for _, column, _, rows in tested]
    compared = [
        runs.against_published(ours, theirs)
        for ours, (_, _, theirs, _) in zip(values, tested, strict=True)
    ]
    adjusted = holm([c.p for c in compared])
    level = 1 - 0.05 / max(1, sum(p is not None and p > 0.05 for p in adjusted))
    claims = []
    for (variant, column, theirs, rows), ours, p in zip(
        tested, values, adjusted, strict=True
    ):
        c = runs.against_published(ours, theirs, level=level)
        margin = results.study["margin"]
        shown = p is not None and p <= 0.05
        test = Test(
            name="t-test of one new run over seeds",
            n=c.n,
            family="published figures",
            estimate=c.estimate,
            low=c.low,
            high=c.high,
            p=c.p,
            p_adjusted=p,
            margin=margin,
            verdict=verdict(c.low, c.high, margin=margin, shown=shown),
        )
        claims.append(
            claim(
                PUBLISHED,
                f"published:{variant}:{column}",
                [row.input(column) for row in rows],
                test=test,
                column=column,
                digits=decimals(results.test_images(variant), c.n),
                label=results.label(variant),
                ours=c.estimate + theirs,
                theirs=theirs,
            )
        )
    return claims


def not_tested(
    results: StudyResults,
    variant: str,
    column: str,
    value: float,
    rows: Sequence[Run],
    note: Phrase | None,
) -> Claim:
    """Return times, which depend on the machine, and losses, without a test."""
    return claim(
        NOT_TESTED,
        f"published:{variant}:{column}",
        [row.input(column) for row in rows],
        n=len(rows),
        estimate=mean(rows, column),
        column=column,
        label=results.label(variant),
        note=note,
        theirs=value,
        elsewhere=", on another machine" if column.endswith("seconds") else "",
    )


def class_list(
    results: StudyResults,
    variant: str,
    theirs: Mapping[str, float],
    note: Phrase | None,
) -> list[Claim]:
    """Return class-wise accuracies, ours and published."""
    columns = {name: f"class_accuracy.{name}" for name in theirs}
    rows = [
        row
        for row in results.usable(variant, "test_accuracy").values()
        if any(column in row.cells for column in columns.values())
    ]
    known = {
        name: column
        for name, column in columns.items()
        if rows and all(column in row.cells for row in rows)
    }
    if not known:
        return []
    return [
        claim(
            CLASSES,
            f"published:{variant}:class_accuracy",
            [row.input(column) for row in rows for column in known.values()],
            n=len(rows),
            label=results.label(variant),
            classes=[
                Phrase(
                    "{name:name}: {ours:percent.0} and {theirs:percent.0}",
                    name=name,
                    ours=mean(rows, column),
                    theirs=theirs[name],
                )
                for name, column in known.items()
            ],
            note=note,
        )
    ]
