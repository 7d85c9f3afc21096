"""Runs that learned too little, for the first page."""

from collections.abc import Iterator

from labmill.report.answer import Answer
from labmill.report.results import StudyResults
from labmill.report.text import listed, named

# Variants named on the first page; others are counted.
MOST = 2


def answers(results: StudyResults) -> Iterator[Answer]:
    """Yield which runs learned too little, if any did."""
    untrained = results.untrained
    if not untrained:
        return
    numbers = {claim["id"]: claim["number"] for claim in results.numbered}
    runs = sum(run.usable for by in results.runs.values() for run in by.values())
    first = next(iter(untrained))
    yield Answer(
        "untrained",
        "Did all networks learn?",
        f"no: {sum(map(len, untrained.values()))} of {runs} learned too little",
        listed(
            (
                f"{named(results.label(variant))} seed {listed(map(str, seeds))}"
                for variant, seeds in untrained.items()
            ),
            MOST,
        ),
        f"claim-{numbers[f'untrained:{first}']}",
    )
