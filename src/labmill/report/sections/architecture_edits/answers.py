"""Which edit of a network is accepted, for the first page."""

from collections.abc import Iterator

from labmill.report.answer import Answer
from labmill.report.number_format import percent
from labmill.report.results import StudyResults
from labmill.report.sections.architecture_edits.tried import Tried, in_full
from labmill.report.text import named, plain


def answers(results: StudyResults) -> Iterator[Answer]:
    """Yield one answer for each network whose edits were trained in full."""
    claims = {claim["id"]: claim for claim in results.numbered}
    for variant in results.rankings:
        tried = in_full(results, variant)
        if not tried:
            continue
        accepted = [one for one in tried if one.accepted]
        edit = min(
            accepted,
            key=lambda one: (one.row.changes, -saving(one)),
            default=None,
        )
        saved = percent(saving(edit), 0) if edit else ""
        yield Answer(
            variant,
            f"Which edit makes {named(results.label(variant))} faster without loss?",
            plain(edit.row.words) if edit else f"none of {len(tried)}",
            f"{saved} of a training step" if edit else "",
            f"claim-{claims[f'edits:{variant}:verdict']['number']}",
            (saved, f"of a step saved by {plain(edit.row.words)}") if edit else None,
        )


def saving(edit: Tried) -> float:
    """Return the measured share of a step that an edit saves."""
    return edit.row.measured.saving if edit.row.measured else 0.0
