"""What curves show at the end of training, and which classes are confused."""

import math
from typing import Any

import numpy as np

from labmill.report.claims import words
from labmill.report.claims.evidence import Evidence
from labmill.report.claims.template import Plain, plain
from labmill.report.read import Row
from labmill.report.runs_table import read_table
from labmill.search.curves import generalisation_gap

GAPS = Plain(
    "At the end of training, the accuracy on training images is above that on validation "
    "images by {least} ({first}) to {most} ({last}); means over seeds, of {variants}."
)
ROSE = Plain(
    "The validation loss of {label} rose again after its minimum, by a tenth or more in "
    "{seeds}: from {least} after epoch {epoch} to {end} after epoch {last}, while the "
    "training loss went from {train_then} to {train_end}."
)
EXPLODES = Plain(
    "The validation loss of {label} explodes in {seeds}: {least} after epoch {epoch}, {end} "
    "after epoch {last}, while the training loss went from {train_then} to {train_end}. "
    "Guessing costs {guess}: {why}."
)
# Why a loss is far above that of guessing.
CERTAIN = "on some images the network is wrong and all but certain of it"
RUNAWAY = "a loss of that size needs outputs that lie as far apart; on some images they run away"
CONFUSED = Plain(
    "The most frequent error of {label}: {count} of {images} predictions for images of "
    "class {name} say {other} ({share}; {seeds})."
)
# Beyond so many times the loss of guessing a validation loss explodes, and beyond the
# other not for certainty's sake.
EXPLODED, FAR = 3, 30


def curve_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """The smallest and largest gap of training and validation; losses that rose again."""
    rose = [claim for v in evidence.runs for claim in rose_claims(evidence, v)]
    return gap_claims(evidence) + rose


def gap_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """Training less validation accuracy at the end, of the extremes; a table has all."""
    names = ("train_accuracy", "validation_accuracy")
    runs = {
        variant: [row for row in found.values() if names[0] in row.cells]
        for variant in evidence.ranked
        if (found := evidence.usable(variant, names[1]))
    }
    gaps = {
        variant: float(np.mean([r.cells[names[0]] - r.cells[names[1]] for r in rows]))
        for variant, rows in runs.items()
        if rows
    }
    if len(gaps) < 2:
        return []
    first, last = min(gaps, key=gaps.__getitem__), max(gaps, key=gaps.__getitem__)
    return [
        plain(
            GAPS,
            "gaps",
            "curves",
            [row.input(name) for v in gaps for row in runs[v] for name in names],
            n=len(gaps),
            estimate=gaps[last] - gaps[first],
            least=words.signed(gaps[first], "%", 1),
            first=evidence.label(first),
            most=words.signed(gaps[last], "%", 1),
            last=evidence.label(last),
            variants=words.number_of(len(gaps), "variant"),
        )
    ]


def rose_claims(evidence: Evidence, variant: str) -> list[dict[str, Any]]:
    """Where every seed's validation loss rose again before the end of its own run."""
    rows = list(evidence.usable(variant, "validation_loss").values())
    found = [generalisation_gap(history(evidence, row)) for row in rows]
    gaps = [gap for gap in found if gap and gap.rose]
    if not rows or len(gaps) < len(rows):
        return []
    means = {
        name: float(np.mean([getattr(gap, name) for gap in gaps]))
        for name in ("least", "end", "train_then", "train_end")
    }
    guess = math.log(len(rows[0].metrics["classes"]))
    return [
        plain(
            EXPLODES if means["end"] > EXPLODED * guess else ROSE,
            f"rose:{variant}",
            "curves",
            [
                {"file": row.record["files"]["history"], "field": "validation_loss"}
                for row in rows
            ],
            n=len(rows),
            estimate=means["end"] - means["least"],
            label=evidence.label(variant),
            epoch=words.span(gap.best_epoch for gap in gaps),
            last=words.span(gap.last_epoch for gap in gaps),
            guess=words.significant(guess, 2),
            why=RUNAWAY if means["end"] > FAR * guess else CERTAIN,
            seeds="one seed"
            if len(rows) == 1
            else f"each of {words.number_of(len(rows), 'seed')} (means)",
            **{name: words.significant(value, 2) for name, value in means.items()},
        )
    ]


def history(evidence: Evidence, row: Row) -> list[dict[str, Any]]:
    """A run's epochs."""
    return read_table(evidence.place.path(row.record["files"]["history"]))


def confusion_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """The most frequent confusion of each variant, counted over all its seeds."""
    claims = []
    for variant in evidence.runs:
        rows = list(evidence.usable(variant, "test_accuracy").values())
        if not rows:
            continue
        matrix = np.sum([row.metrics["parts"]["test"]["confusion"] for row in rows], 0)
        images = matrix.sum(axis=1)
        np.fill_diagonal(matrix, 0)
        true, said = np.unravel_index(matrix.argmax(), matrix.shape)
        if not matrix[true, said]:
            continue
        names = rows[0].metrics["classes"]
        claims.append(
            plain(
                CONFUSED,
                f"confused:{variant}",
                "classes",
                [
                    {
                        "file": row.record["files"]["metrics"],
                        "field": "parts.test.confusion",
                    }
                    for row in rows
                ],
                n=len(rows),
                estimate=float(matrix[true, said] / images[true]),
                label=evidence.label(variant),
                count=words.count(matrix[true, said]),
                images=words.count(images[true]),
                name=words.named(names[true]),
                other=words.named(names[said]),
                share=words.percent(
                    matrix[true, said] / images[true],
                    words.decimals(int(images[true]), 1),
                ),
                seeds="all seeds together" if len(rows) > 1 else "one seed",
            )
        )
    return claims
