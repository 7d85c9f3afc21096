"""What the curves of runs that went wrong on purpose show, as numbers."""

import math
from collections.abc import Sequence
from typing import Any

from labmill.report.claims import words
from labmill.report.claims.evidence import Evidence
from labmill.report.claims.template import Plain, plain
from labmill.report.read import Row
from labmill.report.runs_table import read_table
from labmill.search.curves import (
    Slope,
    curve,
    generalisation_gap,
    oscillation,
    slope,
    swing,
)

LESSON = Plain(
    "{label}. Oscillation: {undone} of all movement of the training loss between "
    "recordings is undone again ({reference}: {reference_undone}), and it jumps by "
    "{swing} about its own course ({reference_swing}). Slope: over the second half of "
    "its recordings it {slope}; that of {reference} {reference_slope}.{gap}"
)
GAP = (
    " Generalisation gap: at the end the validation loss is {loss} {side} the training "
    "loss and {rise} above its minimum, after epoch {epoch} of {epochs}."
)
NO_GAP = " Its validation loss was never a finite number."
LATE = 0.5
# Fewer recordings have no course.
LEAST = 3
# How a slope is said: with its 95 % interval, per epoch.
VERBS = {"falls": "falls", "rises": "rises", "level": "neither rises nor falls"}


def lesson_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """One claim per lesson, beside the run that has all settings right."""
    lessons = evidence.study.get("lessons")
    rows = {v: first(evidence, v) for v in lessons["variants"]} if lessons else {}
    reference = first(evidence, lessons["reference"]) if lessons else None
    if reference is None:
        return []
    return [
        lesson_claim(evidence, row, reference)
        for row in rows.values()
        if row is not None
    ]


def first(evidence: Evidence, variant: str) -> Row | None:
    """A variant's first run that has curves; one that diverged has them too."""
    for row in evidence.runs.get(variant, {}).values():
        if row.cells["status"] != "failed" and len(recordings(evidence, row)) >= LEAST:
            return row
    return None


def recordings(evidence: Evidence, row: Row) -> list[dict[str, Any]]:
    """The rows of batches.csv where the run recorded enough, else of history.csv.

    Each has `at`, in epochs, and `loss`.
    """
    files = row.record["files"]
    epochs = read_table(evidence.place.path(files["history"]))
    batches = files.get("batches") and read_table(evidence.place.path(files["batches"]))
    if not batches or len(batches) < LEAST:
        return [{"at": e["epoch"], "loss": e["train_loss"]} for e in epochs]
    whole = max(b["images"] for b in batches) / max(b["epoch"] for b in batches)
    return [{"at": b["images"] / whole, "loss": b["loss"]} for b in batches]


def lesson_claim(evidence: Evidence, row: Row, reference: Row) -> dict[str, Any]:
    """Oscillation, slope and gap of one run."""
    about, other = (measured(evidence, one) for one in (row, reference))
    label, name = (evidence.label(one.cells["variant"]) for one in (row, reference))
    return plain(
        LESSON,
        f"lesson:{row.cells['variant']}",
        "curves",
        [
            {"file": one.record["files"][file], "field": field}
            for one in (row, reference)
            for file, field in (("batches", "loss"), ("history", "validation_loss"))
            if one.record["files"].get(file)
        ],
        n=1,
        estimate=about["undone"],
        label=label[:1].upper() + label[1:],
        reference=name,
        undone=words.percent(about["undone"], 0),
        reference_undone=words.percent(other["undone"], 0),
        swing=words.significant(about["swing"], 2),
        reference_swing=words.significant(other["swing"], 2),
        slope=told(about["slope"]),
        reference_slope=told(other["slope"]),
        gap=gap(evidence, row),
    )


def measured(evidence: Evidence, row: Row) -> dict[str, Any]:
    """The measures of a run's training loss."""
    at, loss = curve(recordings(evidence, row), "loss", "at")
    return {
        "undone": oscillation(loss),
        "swing": swing(loss),
        "slope": slope(at, loss, last=LATE),
    }


def told(found: Slope) -> str:
    """A slope in words: `falls by 0.03 per epoch (95 % interval −0.04 to −0.02)`."""
    if math.isnan(found.estimate):
        return "has too few points to say"
    low, high = (signed(value) for value in (found.low, found.high))
    by = f" by {words.significant(abs(found.estimate), 2)} per epoch"
    verb = VERBS[found.verdict] + ("" if found.verdict == "level" else by)
    return f"{verb} (change per epoch, 95{words.SPACE}% interval: {low} to {high})"


def signed(value: float) -> str:
    """A number in two figures with a proper minus."""
    return ("" if value >= 0 else words.MINUS) + words.significant(abs(value), 2)


def gap(evidence: Evidence, row: Row) -> str:
    """Validation against training loss at the end."""
    rows: Sequence[dict[str, Any]] = read_table(
        evidence.place.path(row.record["files"]["history"])
    )
    found = generalisation_gap(rows)
    if found is None:
        return NO_GAP
    return GAP.format(
        loss=words.significant(abs(found.loss), 2),
        side="above" if found.loss >= 0 else "below",
        rise=words.significant(found.rise, 2),
        epoch=found.best_epoch,
        epochs=len(rows),
    )
