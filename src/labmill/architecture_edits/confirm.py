"""Rule confirm: rank the briefly trained edits; the first get a full training."""

from collections.abc import Sequence
from pathlib import Path

from labmill.architecture_edits.records import (
    ConfirmedRanking,
    Edit,
    EditRanking,
    TriedEdit,
)
from labmill.core.logs import log
from labmill.core.records import Provenance
from labmill.search.pareto import front
from labmill.search.select import RunPaths, RunResult, run_result


def confirm(
    *, proposed: Path, trials: Sequence[RunPaths], out: Path, provenance: Provenance
) -> None:
    """Write confirmed.json: the trials, undominated ones first.

    An edit is dominated by another, or by the unchanged network, that is as quick and
    as accurate on validation images and better in one. `trials` has `rank` in
    `proposed` (1 is the unchanged network), `seed`, `history` and `description` of
    every brief training. The job's setting is `tolerance`.
    """
    table = EditRanking.read(proposed)
    rows = [(table.ranking[t["rank"] - 1], run_result(t)) for t in trials]
    unchanged, *edits = ordered(rows, provenance.settings["tolerance"])
    log.info("to be confirmed: %s", "; ".join(row.words for row in edits))
    ConfirmedRanking(
        rule="not dominated in measured time and validation accuracy, first",
        base={},
        settings=edits[0].settings,
        unchanged=unchanged,
        ranking=edits,
        provenance=provenance,
    ).write(out)


def ordered(
    rows: Sequence[tuple[Edit, RunResult]], tolerance: float
) -> list[TriedEdit]:
    """Return the unchanged network, then edits: within tolerance by saving, then by accuracy.

    Undominated ones are first, diverged ones last.
    """
    accuracies = [
        float("nan") if run.validation_accuracy is None else run.validation_accuracy
        for _, run in rows
    ]
    on = front([-saving_of(edit) for edit, _ in rows], accuracies)
    unchanged, *edits = (
        TriedEdit(**edit.model_dump(exclude_unset=True), **vars(run), undominated=kept)
        for (edit, run), kept in zip(rows, on.tolist(), strict=True)
    )

    def position(row: TriedEdit) -> tuple[float, ...]:
        accuracy = row.validation_accuracy
        if accuracy is None:
            return (2,)
        within = accuracy >= (unchanged.validation_accuracy or 0.0) - tolerance
        value = saving_of(row) if within else accuracy
        return (0 if row.undominated else 1, 0 if within else 1, -value)

    return [unchanged, *sorted(edits, key=position)]


def saving_of(edit: Edit) -> float:
    """Return the measured saving of an edit that was timed."""
    assert edit.measured is not None, edit.point
    return edit.measured.saving
