"""What networks cost, as measured; and what their curves show."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from labmill.evaluation.statistics import mean_over_seeds
from labmill.report.claims import words
from labmill.report.claims.evidence import Evidence
from labmill.report.claims.template import Plain, plain
from labmill.report.read import Row
from labmill.report.runs_table import read_table

COST = Plain("Cost of {label}: {parts}.")
GAP = Plain(
    "At the end of training, {label} gets {train} of the training images and "
    "{validation} of the validation images right ({seeds}): a gap of {gap}."
)
OVERFIT = Plain(
    "{label} overfits: its validation loss reached its minimum of {least} after epoch "
    "{epoch} and ended at {end} after epoch {last}, while the training loss went from "
    "{train_then} to {train_end} ({seeds})."
)
EXPLODES = Plain(
    "The validation loss of {label} explodes: {least} after epoch {epoch}, {end} after "
    "epoch {last}, while the training loss went from {train_then} to {train_end} "
    "({seeds}). Guessing costs {guess}: on some images the network is wrong and all but "
    "certain of it."
)
CONFUSED = Plain(
    "The most frequent error of {label}: {count} of {images} predictions for images of "
    "class {name} say {other} ({share}; {seeds})."
)
# A rise of the mean validation loss by a tenth, past its minimum, is called overfitting.
RISE = 1.1
# Beyond so many times the loss of guessing it is no overfitting any more.
EXPLODED = 3


def cost_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """Parameters, operations, training time and latency of each variant."""
    made = (cost_claim(evidence, variant) for variant in evidence.runs)
    return [claim for claim in made if claim]


def cost_claim(evidence: Evidence, variant: str) -> dict[str, Any] | None:
    """One variant's cost; nothing that was not measured."""
    inputs, parts = [], []
    for column, noun in (
        ("parameters", "parameters"),
        ("macs", "multiply-adds per image"),
    ):
        for row in list(evidence.usable(variant, column).values())[:1]:
            parts.append(f"{words.count(row.cells[column])} {noun}")
            inputs.append(row.input(column))
    rows = list(evidence.usable(variant, "train_seconds").values())
    if rows:
        inputs += [row.input("train_seconds") for row in rows]
        parts.append(training_time(rows))
    for row in evidence.runs[variant].values():
        parts += timings(row, inputs) if row.usable else []
    if not parts:
        return None
    return plain(
        COST,
        f"cost:{variant}",
        "cost",
        inputs,
        n=len(rows),
        estimate=None,
        label=evidence.label(variant),
        parts="; ".join(parts),
    )


def training_time(rows: Sequence[Row]) -> str:
    """Seconds of training, with their spread over seeds, and where they were spent."""
    time = mean_over_seeds([row.cells["train_seconds"] for row in rows])
    mean_text = words.significant(time.estimate)
    places = len(mean_text.partition(".")[2])
    spread = f" ± {words.fixed(time.sd, places)}" if time.sd is not None else ""
    seeds = words.number_of(time.n, "seed")
    mean = f"mean and standard deviation of {seeds}" if time.n > 1 else seeds
    devices = {str(row.cells.get("device", "an unknown device")) for row in rows}
    where = words.listed(words.escape(device) for device in sorted(devices))
    return f"{mean_text}{spread}{words.SPACE}s of training on {where} ({mean})"


def timings(row: Row, inputs: list[dict[str, str]]) -> list[str]:
    """Median time of a call by batch size, with quartiles and number of calls."""
    found = []
    stems = [
        name
        for name in row.cells
        if name.startswith("latency_ms_b")
        and name.removeprefix("latency_ms_b").isdigit()
    ]
    for stem in stems:
        batch = int(stem.removeprefix("latency_ms_b"))
        columns = (stem, f"{stem}_q1", f"{stem}_q3", f"{stem}_n")
        median, q1, q3, n = (row.cells[column] for column in columns)
        inputs += [row.input(column) for column in columns]
        found.append(
            f"{words.significant(median)}{words.SPACE}ms for {words.number_of(batch, 'image')} "
            f"at once (median of {n} calls, quartiles {words.significant(q1)} to "
            f"{words.significant(q3)}{words.SPACE}ms)"
        )
    return found


def curve_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """Gap between training and validation, and overfitting, by variant."""
    claims = []
    for variant in evidence.runs:
        rows = [
            row
            for row in evidence.usable(variant, "validation_accuracy").values()
            if "train_accuracy" in row.cells
        ]
        if rows:
            claims.append(gap_claim(evidence, variant, rows))
            claims += overfit_claims(evidence, variant, rows)
    return claims


def gap_claim(evidence: Evidence, variant: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Training against validation accuracy at the end."""
    train, validation = (
        float(np.mean([row.cells[name] for row in rows]))
        for name in ("train_accuracy", "validation_accuracy")
    )
    images = min(row.cells.get("validation_n", 1000) for row in rows)
    digits = words.decimals(images, len(rows))
    return plain(
        GAP,
        f"gap:{variant}",
        "curves",
        [
            row.input(name)
            for row in rows
            for name in ("train_accuracy", "validation_accuracy")
        ],
        n=len(rows),
        estimate=train - validation,
        label=evidence.label(variant),
        train=words.percent(train, digits),
        validation=words.percent(validation, digits),
        seeds=words.number_of(len(rows), "seed"),
        gap=gap(train - validation, digits),
    )


def gap(difference: float, digits: int) -> str:
    """Training minus validation accuracy; one that rounds to nothing has no sign."""
    size = words.points(difference, digits)
    return size if difference >= 0 or size.startswith("less") else words.MINUS + size


def overfit_claims(
    evidence: Evidence, variant: str, rows: Sequence[Row]
) -> list[dict[str, Any]]:
    """Where the mean validation loss has risen by a tenth since its minimum."""
    curves = [history(evidence, row) for row in rows]
    epochs = sorted(set.intersection(*(set(curve) for curve in curves)))
    if len(epochs) < 3:
        return []
    train, validation = np.mean(
        [[curve[epoch] for epoch in epochs] for curve in curves], axis=0
    ).T
    least = int(validation.argmin())
    if validation[-1] <= RISE * validation[least]:
        return []
    guess = math.log(len(rows[0].metrics["classes"]))
    return [
        plain(
            EXPLODES if validation[-1] > EXPLODED * guess else OVERFIT,
            f"overfit:{variant}",
            "curves",
            [
                {"file": row.record["files"]["history"], "field": "validation_loss"}
                for row in rows
            ],
            n=len(rows),
            estimate=float(validation[-1] - validation[least]),
            label=evidence.label(variant),
            least=words.significant(float(validation[least]), 2),
            epoch=epochs[least],
            end=words.significant(float(validation[-1]), 2),
            last=epochs[-1],
            train_then=words.significant(float(train[least]), 2),
            train_end=words.significant(float(train[-1]), 2),
            guess=words.significant(guess, 2),
            seeds=words.averaged(len(rows)),
        )
    ]


def history(evidence: Evidence, row: Row) -> dict[int, tuple[float, float]]:
    """Epoch → training and validation loss, of the epochs that have both."""
    epochs = read_table(evidence.place.path(row.record["files"]["history"]))
    names = ("train_loss", "validation_loss")
    return {
        epoch["epoch"]: (epoch[names[0]], epoch[names[1]])
        for epoch in epochs
        if all(epoch[n] is not None and math.isfinite(epoch[n]) for n in names)
    }


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
                count=int(matrix[true, said]),
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
