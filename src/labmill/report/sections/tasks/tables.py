"""The checklist of an assignment."""

from collections.abc import Iterable

from labmill.core import registry
from labmill.report.answer import Answer
from labmill.report.number_format import DASH, decimal
from labmill.report.results import StudyResults
from labmill.report.table import Table
from labmill.report.text import Markdown, anchor, plain, spaced


def checklist(results: StudyResults, answers: Iterable[Answer]) -> Table | None:
    """Return task, marks, where it is answered, and the results there.

    answers: the first page's.
    """
    found: dict[str, list[Answer]] = {}
    for answer in answers:
        found.setdefault(answer.about, []).append(answer)
    rows = [
        [
            task["text"],
            DASH if task["marks"] is None else decimal(task["marks"]),
            Markdown("; ".join(place(results, name) for name in task["answers"])),
            Markdown(
                "; ".join(
                    f"{answer.answer} {answer.number}".strip()
                    for name in task["answers"]
                    for answer in found.get(name, ())
                )
            ),
        ]
        for task in results.study["report"]["tasks"]
    ]
    head = ["Task", "Marks", "Where", "Result"]
    return Table(head, rows, "Tasks of the assignment.", "lrll") if rows else None


def place(results: StudyResults, name: str) -> str:
    """Return a link to what answers a task."""
    study = results.study
    if name in study["compare"]:
        return f"[{plain(name.replace('_', ' '))}](#question-{name})"
    for section, kind in (("search", "search"), ("pruning", "pruning")):
        if name in study[kind]:
            return f"[{plain(name.replace('_', ' '))}](#section-{section})"
    heading = registry.sections().get(name) or spaced(name)
    return f"[{plain(heading)}](#section-{anchor(name)})"
