"""What the curves of runs that went wrong on purpose show, as numbers."""

from typing import Any

import numpy as np

from labmill.report.claims import words
from labmill.report.claims.cost import history
from labmill.report.claims.evidence import Evidence
from labmill.report.claims.template import Plain, plain
from labmill.report.read import Row
from labmill.search.curves import Rows, curve, generalisation_gap, oscillation

LESSON = Plain(
    "{label}: after {epochs}{diverged} the training loss is {end}, {ratio} times that of "
    "{reference} after {other_epochs} ({other_end}), {reached}. From epoch to epoch, "
    "{undone} of the movement of the training loss is undone again and {validation} of "
    "that of the validation loss ({reference}: {other_undone} and {other_validation}). "
    "Its validation loss {gap}; that of {reference} {other_gap}. One seed each."
)


def lesson_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """One claim per lesson, beside the run that has all settings right."""
    lessons = evidence.study.get("lessons")
    reference = first(evidence, lessons["reference"]) if lessons else None
    if reference is None:
        return []
    rows = [first(evidence, variant) for variant in lessons["variants"]]
    return [lesson_claim(evidence, row, reference) for row in rows if row is not None]


def first(evidence: Evidence, variant: str) -> Row | None:
    """A variant's first run that has a curve; one that diverged has one too."""
    for row in evidence.runs.get(variant, {}).values():
        there = row.cells["status"] != "failed"
        if there and len(losses(history(evidence, row), "train_loss")) > 1:
            return row
    return None


def losses(epochs: Rows, name: str) -> np.ndarray:
    """The finite values of an epoch's loss, in order."""
    return curve(epochs, name)[1]


def lesson_claim(evidence: Evidence, row: Row, reference: Row) -> dict[str, Any]:
    """How the losses of one run ended and moved, epoch by epoch."""
    own, other = (history(evidence, one) for one in (row, reference))
    train, sound = (losses(epochs, "train_loss") for epochs in (own, other))
    label, name = (evidence.label(one.cells["variant"]) for one in (row, reference))
    below = np.flatnonzero(train <= sound[-1])
    told = dict(zip(("undone", "validation"), map(undone, two(own)), strict=True))
    theirs = dict(zip(told, map(undone, two(other)), strict=True))
    return plain(
        LESSON,
        f"lesson:{row.cells['variant']}",
        "curves",
        [
            {"file": one.record["files"]["history"], "field": field}
            for one in (row, reference)
            for field in ("train_loss", "validation_loss")
        ],
        n=1,
        estimate=float(train[-1] / sound[-1]),
        label=label[:1].upper() + label[1:],
        reference=name,
        epochs=words.number_of(len(own), "epoch"),
        diverged=", when it diverged," if not row.usable else "",
        end=words.significant(float(train[-1]), 2),
        ratio=words.significant(float(train[-1] / sound[-1]), 2),
        other_epochs=words.number_of(len(other), "epoch"),
        other_end=words.significant(float(sound[-1]), 2),
        reached=f"which it reached after epoch {below[0] + 1}"
        if len(below)
        else "which it never reached",
        gap=gap(own),
        other_gap=gap(other),
        **told,
        **{f"other_{key}": value for key, value in theirs.items()},
    )


def two(epochs: Rows) -> list[np.ndarray]:
    """The training and the validation loss, epoch by epoch."""
    return [losses(epochs, f"{part}_loss") for part in ("train", "validation")]


def undone(values: np.ndarray) -> str:
    """The share of a curve's movement that is undone again, in words."""
    return words.percent(oscillation(values), 0) if len(values) > 1 else "nothing"


def gap(epochs: Rows) -> str:
    """Whether the validation loss rose again, and what the training loss did then."""
    found = generalisation_gap(epochs)
    if found is None:
        return "was never a finite number"
    if not found.rose:
        return "did not rise by a tenth after its minimum"
    rise, then, end = (
        words.significant(value, 2)
        for value in (found.rise, found.train_then, found.train_end)
    )
    return (
        f"rose by {rise} after epoch {found.best_epoch}, while the training loss went "
        f"from {then} to {end}"
    )
