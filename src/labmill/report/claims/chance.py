"""Networks that have learned little more than to guess."""

from typing import Any

import numpy as np

from labmill.report.claims import words
from labmill.report.claims.evidence import Evidence
from labmill.report.claims.template import Plain, plain

ACCURACY = "test_accuracy"
NEAR_CHANCE = Plain(
    "A network that guesses gets {chance} of the test images right. {variants} got less "
    "than {part} of the way from there to all of them: a difference between networks that "
    "have learned so little says little about trained ones."
)
# Of the way from guessing to every image.
LITTLE = 0.15


def chance_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """Which variants stand near chance; nothing where none does."""
    near = {}
    for variant in evidence.ranked:
        rows = list(evidence.usable(variant, ACCURACY).values())
        classes = len(rows[0].metrics.get("classes", ())) if rows else 0
        mean = float(np.mean([row.cells[ACCURACY] for row in rows])) if rows else 1.0
        if classes > 1 and mean - 1 / classes < LITTLE * (1 - 1 / classes):
            near[variant] = (mean, classes, rows)
    if not near:
        return []
    return [
        plain(
            NEAR_CHANCE,
            "near_chance",
            "ranking",
            [row.input(ACCURACY) for _, _, rows in near.values() for row in rows],
            n=len(near),
            chance=words.percent(1 / next(iter(near.values()))[1], 0),
            part=words.percent(LITTLE, 0),
            variants=words.listed(
                f"{evidence.label(variant)} ({words.percent(mean, 1)})"
                for variant, (mean, _, _) in near.items()
            ),
        )
    ]
