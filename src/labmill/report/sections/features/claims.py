"""What networks learn on the way: pretext tasks, and weights of convolutions."""

import numpy as np

from labmill.analysis.records import Mixing, Representation
from labmill.report.claims.claim import Claim, Phrase, Statement, claim
from labmill.report.results import StudyResults
from labmill.report.runs import Run, mean

PRETEXT = Statement(
    "Pretext task {label:name}: after {epochs:epochs} the network predicts the rotation of "
    "{estimate:percent} of the held-out rotated images ({n:mean}; guessing: "
    "{chance:percent.0}). This took {seconds:seconds_of} on {device:text}, which is not "
    "part of the training time of networks that start from it."
)
MIXING = Statement(
    "Mixing weights of {label:name} (first seed, validation images): {shares:list} of "
    "their variance is between classes. In block {block}, where that share is largest, the "
    "mean weight of convolution a{branch} ranges from {least:significant.2} for {one:name} "
    "to {most:significant.2} for {other:name}."
)
TURNS = 4


def make_claims(results: StudyResults) -> list[Claim]:
    """Return pretext tasks and mixing weights."""
    mixing = [
        mixing_claim(run, record.images, record.mixing)
        for run, record in results.analysed_runs(Representation)
        if record.mixing and run.kind == "variant"
    ]
    return [*pretext_claims(results), *mixing]


def pretext_claims(results: StudyResults) -> list[Claim]:
    """Return what each pretext task reached on held-out images, and what it cost."""
    found: dict[str, list[Run]] = {}
    for row in results.rows:
        cells = row.cells
        if cells["kind"] == "pretext" and row.usable and "train_seconds" in cells:
            found.setdefault(cells["label"], []).append(row)
    columns = ("validation_accuracy", "train_seconds")
    claims = []
    for label, rows in found.items():
        accuracy, seconds = (mean(rows, column) for column in columns)
        claims.append(
            claim(
                PRETEXT,
                f"pretext:{rows[0].variant}",
                [row.input(column) for row in rows for column in columns],
                n=len(rows),
                estimate=accuracy,
                label=label,
                epochs=rows[0].cells["epochs"],
                chance=1 / TURNS,
                seconds=seconds,
                device=rows[0].cells["device"],
            )
        )
    return claims


def mixing_claim(row: Run, images: int, mixing: Mixing) -> Claim:
    """Return how far the classes differ in a network's mixing weights."""
    shares = between_classes(mixing)
    block = int(np.argmax(shares))
    mean = np.array(mixing.mean[block], float)
    branch = int(np.argmax(np.ptp(mean, axis=0)))
    by_class = mean[:, branch]
    low, high = int(by_class.argmin()), int(by_class.argmax())
    return claim(
        MIXING,
        f"mixing:{row.variant}",
        [row.source("represent", "mixing")],
        n=images,
        estimate=float(shares[block]),
        digits=0,
        label=row.label,
        shares=[
            Phrase("{share:percent} (block {number})", share=share, number=number)
            for number, share in enumerate(shares, 1)
        ],
        block=block + 1,
        branch=branch + 1,
        least=float(by_class[low]),
        most=float(by_class[high]),
        one=row.metrics["classes"][low],
        other=row.metrics["classes"][high],
    )


def between_classes(mixing: Mixing) -> list[float]:
    """Return each block's share of its weights' variance that is between classes."""
    means, within = np.array(mixing.mean, float), np.array(mixing.sd, float) ** 2
    between = means.var(axis=1).sum(axis=1)
    whole = between + within.mean(axis=1).sum(axis=1)
    return (between / np.maximum(whole, 1e-12)).tolist()
