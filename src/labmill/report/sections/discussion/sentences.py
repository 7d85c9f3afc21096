"""Questions to the author, made from the results."""

from collections.abc import Iterator, Sequence

from labmill.report.answer import DECIDED
from labmill.report.claims.claim import Kind
from labmill.report.report_inputs import Record
from labmill.report.results import StudyResults
from labmill.report.text import Markdown, listed, plain, spaced
from labmill.stats.margins import Verdict

# Rule of `claims.py` → the question that its observation raises.
ASKS = {
    "classes": "What distinguishes these classes from the others? Look at their errors.",
    "cost": "What limits the time of these networks? What would test it?",
    "falling": "Would longer training change the order of the variants?",
    "overfit": "What would you change: data, augmentation, regularisation, size?",
    "saturated": "Which harder data or test would leave room for differences?",
    "easier": "Why do test and validation images differ, and does it matter?",
    "left_out": "Which conclusions would you expect to hold with all images?",
}

DECIDED_ASKS = (
    "which property of the variants could explain the difference? What would test it?"
)
EQUAL_ASKS = "did you expect no difference that matters, and why?"
OPEN_ASKS = "is the experiment too small, or is there no effect?"


def prompts(results: StudyResults) -> Markdown:
    """Return a box with questions: one per observation, one per open or decided question."""
    lines = "\n".join(f"- {line}" for line in asked(results))
    return Markdown(f"::: prompt\n**Your interpretation**\n\n{lines}\n:::")


def asked(results: StudyResults) -> Iterator[str]:
    """Yield the questions to the author."""
    for claim in results.numbered:
        if claim["section"] == "discussion":
            yield f"{subjects([claim])}: {ASKS[claim['id'].split(':')[1]]}"
    questions = [
        claim
        for claim in results.numbered
        if claim["kind"] == Kind.QUESTION and claim["contrast"]
    ]
    groups = {
        DECIDED_ASKS: DECIDED,
        EQUAL_ASKS: (Verdict.PRACTICALLY_EQUAL,),
        OPEN_ASKS: (Verdict.UNDECIDED,),
    }
    for question, verdicts in groups.items():
        found = [claim for claim in questions if claim["verdict"] in verdicts]
        if found:
            yield f"{subjects(found)}: {question}"
    yield "Does anything contradict what you expected? What would you try next?"


def subjects(claims: Sequence[Record]) -> str:
    """Return links to claims, after the subject of their question."""
    links: dict[str, list[str]] = {}
    for claim in claims:
        about = plain(spaced(claim["about"] or ""))
        number = claim["number"]
        links.setdefault(about, []).append(f"[C{number}](#claim-{number})")
    return listed(
        (
            f"{about} ({', '.join(found)})" if about else listed(found)
            for about, found in links.items()
        ),
        len(links),
    )
