"""Edits that were trained in full, with all seeds."""

from collections.abc import Iterator
from dataclasses import dataclass

from labmill.architecture_edits.records import Edit, EditRanking, Saving
from labmill.report.claims.comparison import Outcome
from labmill.report.claims.findings import findings, pair_of
from labmill.report.results import StudyResults
from labmill.stats.margins import NonInferiority, non_inferiority

FIELDS = ("measured.saving", "measured.low", "measured.high", "predicted.saving")


@dataclass(frozen=True)
class Tried:
    """An edit that was trained in full.

    Attributes:
        variant: the edited network.
        row, file, place: its row of a ranking, the ranking's file, its place there.
        outcome: test accuracy after and before the edit.
        accuracy: the test that the edit costs less than the study tolerates; None with
            too few seeds.
        floor: the largest saving found when timing the network against itself.
    """

    variant: str
    row: Edit
    file: str
    place: int
    outcome: Outcome
    accuracy: NonInferiority | None
    floor: float

    @property
    def saves(self) -> bool:
        """Whether the measured saving is outside the noise of its timing."""
        return saved(self.row).low > self.floor

    @property
    def accepted(self) -> bool:
        """Whether it saves time and keeps its accuracy."""
        return self.saves and self.accuracy is not None and self.accuracy.accepted

    def inputs(self) -> list[dict[str, str]]:
        """Return file and field of every number."""
        own = [
            {"file": self.file, "field": f"ranking.{self.place}.{name}"}
            for name in FIELDS
        ]
        return [*own, *self.outcome.inputs()]


def in_full(results: StudyResults, variant: str) -> list[Tried]:
    """Return the edits trained with all seeds: declared variants, confirmed trials."""
    rankings = results.rankings[variant]
    files = results.summary["edits"][variant]
    trained = list(trained_edits(results, variant))
    return [
        Tried(
            variant=outcome.comparison.rows[0],
            row=row,
            file=files[kind],
            place=place,
            outcome=outcome,
            accuracy=accuracy(results, outcome, len(trained)),
            floor=rankings.edits.noise.floor,
        )
        for kind, place, row, outcome in trained
    ]


def trained_edits(
    results: StudyResults, variant: str
) -> Iterator[tuple[str, int, Edit, Outcome]]:
    """Yield ranking, place and outcome of each edit that was trained with all seeds."""
    proposed, confirmed = results.rankings[variant]
    found: list[tuple[str, int, Edit, str | None]] = [
        ("edits", place, edit, edit.variant)
        for place, edit in enumerate(proposed.ranking)
    ]
    for place, edit in enumerate(confirmed.ranking if confirmed else ()):
        name = f"{variant}_confirmed{place + 1}"
        found.append(("confirmed", place, edit, name))
    for kind, place, row, trained in found:
        if trained in results.runs and row.measured:
            pair = (trained, variant)
            one = pair_of(results, f"edits:{variant}:{trained}", pair)
            if outcome := findings(results).outcome(one):
                yield kind, place, row, outcome


def timed(proposed: EditRanking) -> list[Edit]:
    """Return the edits whose saving was measured."""
    return [edit for edit in proposed.ranking if edit.measured and edit.measured.n]


def saved(edit: Edit) -> Saving:
    """Return the measured saving of an edit that was timed."""
    assert edit.measured, edit.point
    return edit.measured


def accuracy(
    results: StudyResults, outcome: Outcome, tried: int
) -> NonInferiority | None:
    """Test whether an edit costs less than the study tolerates, corrected for all tried."""
    details = outcome.test.details
    if details is None:
        return None
    return non_inferiority(
        outcome.test.estimate,
        error=details.error,
        freedom=details.freedom,
        n=outcome.test.n,
        margin=results.study["edits"]["tolerance"],
        comparisons=tried,
    )
