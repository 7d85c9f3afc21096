"""Which classes are confused."""

import numpy as np

from labmill.report.claims.claim import Claim, Phrase, Statement, claim
from labmill.report.claims.comparison import ACCURACY
from labmill.report.number_format import percent
from labmill.report.results import StudyResults
from labmill.report.runs import Run
from labmill.report.text import named, number_of

CONFUSED = Statement(
    "The most frequent error, all seeds together: {errors:semicolons}."
)
ERROR = "{who} {verb} {shares} of the {things} of class {true:name} for {other:name}"


def make_claims(results: StudyResults) -> list[Claim]:
    """Return the most frequent confusion of each variant; equal ones together."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    sources = []
    for variant in results.runs:
        rows = list(results.usable(variant, ACCURACY).values())
        error = most_frequent(rows) if variant not in results.untrained else None
        if error:
            true, other, share = error
            found.setdefault((true, other), {})[results.label(variant)] = share
            sources += [row.source("metrics", "parts.test.confusion") for row in rows]
    if not found:
        return []
    errors = [
        Phrase(
            ERROR,
            who=named(next(iter(by)))
            if len(by) == 1
            else number_of(len(by), "variant"),
            verb="takes" if len(by) == 1 else "take",
            shares=" to ".join(
                dict.fromkeys(percent(end(by.values()), 0) for end in (min, max))
            ),
            things=results.things,
            true=true,
            other=other,
        )
        for (true, other), by in sorted(found.items(), key=lambda one: -len(one[1]))
    ]
    n = sum(map(len, found.values()))
    return [claim(CONFUSED, "confused", sources, n=n, errors=errors)]


def most_frequent(rows: list[Run]) -> tuple[str, str, float] | None:
    """Return true class, predicted class and share of the most frequent confusion."""
    if not rows:
        return None
    matrix = np.sum([row.metrics["parts"]["test"]["confusion"] for row in rows], 0)
    images = matrix.sum(axis=1)
    np.fill_diagonal(matrix, 0)
    true, other = np.unravel_index(matrix.argmax(), matrix.shape)
    if not matrix[true, other]:
        return None
    names = rows[0].metrics["classes"]
    return names[true], names[other], float(matrix[true, other] / images[true])
