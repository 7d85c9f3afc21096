"""What networks learn on the way: the pretext task, and weights of their convolutions."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from labmill.report.claims import words
from labmill.report.claims.evidence import Evidence
from labmill.report.claims.looks import first_look
from labmill.report.claims.template import Plain, plain

PRETEXT = Plain(
    "The pretext task {label}: after {epochs} the network tells the right turn of "
    "{accuracy} of the held-out turned images ({seeds}; guessing: {chance}). This took "
    "{seconds} on {device}, which no training time of a network that starts from it "
    "contains."
)
MIXING = Plain(
    "How {label} weighs its convolutions (first seed, validation images): of the weights' "
    "variance, {shares} lies between classes. In block {block}, where that share is "
    "largest, the mean weight of convolution a{branch} goes from {least} for {one} to "
    "{most} for {other}."
)
TURNS = 4


def pretext_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """What each pretext task reached on held-out images, and what it cost."""
    found: dict[str, list[Any]] = {}
    for row in evidence.rows:
        cells = row.cells
        if cells["kind"] == "pretext" and row.usable and "train_seconds" in cells:
            found.setdefault(cells["label"], []).append(row)
    claims = []
    for label, rows in found.items():
        first = rows[0].cells
        accuracy, seconds = (
            float(np.mean([row.cells[column] for row in rows]))
            for column in ("validation_accuracy", "train_seconds")
        )
        claims.append(
            plain(
                PRETEXT,
                f"pretext:{first['variant']}",
                "represent",
                [
                    row.input(column)
                    for row in rows
                    for column in ("validation_accuracy", "train_seconds")
                ],
                n=len(rows),
                estimate=accuracy,
                label=words.named(label),
                epochs=words.number_of(first["epochs"], "epoch"),
                accuracy=words.percent(accuracy, 1),
                seeds=words.averaged(len(rows)),
                chance=words.percent(1 / TURNS, 0),
                seconds=words.quantity(seconds, "s", 0),
                device=words.escape(first["device"]),
            )
        )
    return claims


def mixing_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """How far the classes differ in the weights of each network that mixes."""
    claims = []
    for variant in (evidence.study.get("represent") or {}).get("variants", ()):
        found = first_look(evidence, variant, "represent")
        if not found or not found[1]["mixing"]:
            continue
        row, mixing = found[0], found[1]["mixing"]
        shares = between_classes(mixing)
        block = int(np.argmax(shares))
        mean = np.array(mixing["mean"][block])
        branch = int(np.argmax(np.ptp(mean, axis=0)))
        by_class = mean[:, branch]
        ends = int(by_class.argmin()), int(by_class.argmax())
        names = [words.named(row.metrics["classes"][end]) for end in ends]
        claims.append(
            plain(
                MIXING,
                f"mixing:{variant}",
                "represent",
                [{"file": row.record["files"]["represent"], "field": "mixing"}],
                n=found[1]["images"],
                estimate=float(shares[block]),
                label=evidence.label(variant),
                shares=words.listed(
                    f"{words.percent(share, 0)} (block {number})"
                    for number, share in enumerate(shares, 1)
                ),
                block=block + 1,
                branch=branch + 1,
                least=words.significant(float(by_class[ends[0]]), 2),
                most=words.significant(float(by_class[ends[1]]), 2),
                one=names[0],
                other=names[1],
            )
        )
    return claims


def between_classes(mixing: Mapping[str, Any]) -> list[float]:
    """Of each block: the share of its weights' variance that lies between classes."""
    means, within = np.array(mixing["mean"]), np.array(mixing["sd"]) ** 2
    between = means.var(axis=1).sum(axis=1)
    whole = between + within.mean(axis=1).sum(axis=1)
    return (between / np.maximum(whole, 1e-12)).tolist()
