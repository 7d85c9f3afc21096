"""Profiles and edit searches of a study, as the report's figures and tables read them."""

from labmill.architecture_edits.records import Edit, Saving, TriedEdit
from labmill.report.number_format import percent
from labmill.report.results import StudyResults
from labmill.report.table import Table
from labmill.report.text import quoted

COLUMNS = (
    *("Edit", "Lines", "Counted", "Predicted", "Measured (95 %)", "Step (ms)"),
    "Validation",
)


def candidates(results: StudyResults, variant: str) -> Table:
    """Return the edits that were timed: predicted, measured, tried, confirmed."""
    proposed, confirmed = results.rankings[variant]
    tried: dict[str, TriedEdit] = {}
    rows = []
    if confirmed:
        tried = {edit.point: edit for edit in confirmed.ranking}
        control = confirmed.unchanged
        rows.append(candidate(results, control, proposed.noise, control))
    rows += [
        candidate(results, edit, edit.measured, tried.get(edit.point))
        for edit in proposed.ranking
        if edit.measured and edit.kind != "unchanged"
    ]
    return Table(
        COLUMNS,
        rows,
        f"Edits of {quoted(results.label(variant))}, and the share of a training step that each "
        "saves, in percent: by counting operations, predicted from the profile, measured. "
        "Measured, and the step before and after: in turns with the unchanged network, in "
        "three instances of both; the row “unchanged” is that network against itself, "
        "the noise of such a timing. Validation: accuracy after the brief training, for "
        "the edits that were tried. After a colon: what the study declares an edit as.",
        "lrrrrrr",
    )


def candidate(
    results: StudyResults, edit: Edit, timed: Saving, tried: TriedEdit | None
) -> list[object]:
    """Return the row of one edit."""
    before, after = (
        f"{ms:.3g}" if ms else "–" for ms in (timed.before_ms, timed.after_ms)
    )
    return [
        edit.words + (f": {results.label(edit.variant)}" if edit.variant else ""),
        edit.changes,
        whole(edit.predicted.operations_saving),
        whole(edit.predicted.saving),
        f"{whole(timed.saving)} ({whole(timed.low)} to {whole(timed.high)})",
        f"{before} → {after}",
        percent(tried.validation_accuracy if tried else None),
    ]


def whole(share: float) -> str:
    """Return a share as whole percent."""
    return str(round(100 * share)).replace("-", "−")
