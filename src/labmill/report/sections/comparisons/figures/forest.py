"""Differences between variants with their intervals (a forest plot)."""

from math import ceil

from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.answer import DECIDED
from labmill.report.claims.claim import Claim, Kind
from labmill.report.number_format import interval, signed
from labmill.report.results import StudyResults
from labmill.report.text import number_of, unescaped
from labmill.study.metrics import metric

CAPTION = (
    "Differences of accuracy with their 95 % intervals, in percentage points, corrected "
    "for the number of comparisons."
)
IMAGES = " Circles: two single networks on the same test images, not seeds."
ALT = "Forest plot: one row per comparison, its estimate and 95 percent interval."
ROWS = 24
LINE = 32
QUOTES = str.maketrans("", "", "“”")


def caption(results: StudyResults) -> str:
    """Return how many differences are shown, and what is drawn."""
    rows = compared(results)
    shown = sum(claim["verdict"] in DECIDED for claim in rows)
    verb = "is" if shown == 1 else "are"
    found = f"{shown} of {number_of(len(rows), 'difference')} {verb} shown (filled)."
    circles = any("images" in claim["test"] for claim in rows)
    return f"{found} {CAPTION}{IMAGES if circles else ''}"


def draw(results: StudyResults) -> list[Figure]:
    """Draw a row per tested difference of accuracies, in as many parts as that takes.

    The answers to the study's questions come first.
    """
    rows = compared(results)
    size = ceil(len(rows) / (ceil(len(rows) / ROWS) or 1)) or 1
    return [part(rows[i : i + size]) for i in range(0, len(rows), size)]


def compared(results: StudyResults) -> list[Claim]:
    """Return the tested differences of accuracies, each once."""
    found = [claim for claim in results.statements if compares(claim)]
    found.sort(key=lambda claim: claim["kind"] != Kind.QUESTION)
    once: dict[tuple[object, ...], Claim] = {}
    for claim in found:
        pairs = frozenset(map(tuple, claim["contrast"]["pairs"]))
        once.setdefault((pairs, claim["contrast"]["metric"], claim["test"]), claim)
    return list(once.values())


def part(claims: list[Claim]) -> Figure:
    """Draw one figure of some rows."""
    names = [minus(claim["contrast"]) for claim in claims]
    drawn, axes = style.rows_of(names, length=LINE, wrapped=True)
    axes.axvline(0, color=style.MUTED, lw=0.9)
    for row, claim in enumerate(claims):
        low, high = (100 * end for end in claim["interval"])
        shown = claim["verdict"] in DECIDED
        color = style.color(0) if shown else style.MUTED
        marks = axes.plot([low, high], [row, row], color=color, lw=1.6)
        marks += axes.plot(
            100 * claim["estimate"],
            row,
            "o" if "images" in claim["test"] else "s",
            ms=5.5,
            mfc=color if shown else style.PAPER,
            mec=color,
        )
        ends = interval(claim["interval"][0], claim["interval"][1], "%")
        text = f"{names[row]}: {signed(claim['estimate'], '%', 1)}, {ends}"
        style.note(marks, f"{' '.join(text.split())}; {claim['verdict']}")
    axes.set_xlabel("Difference (percentage points)")
    return drawn


def compares(claim: Claim) -> bool:
    """Return True if a claim tests the difference of two accuracies over all classes."""
    return bool(
        claim["contrast"]
        and claim["section"] != "classes"
        and metric(claim["contrast"]["metric"]).unit == "%"
        and claim["interval"]
    )


def minus(contrast: dict[str, str]) -> str:
    """Return `first − second`, on two lines where one would be long."""
    length = round(LINE * (1 if style.narrow() == 1 else 0.6))
    first, second = (
        style.label(unescaped(contrast[side]).translate(QUOTES), length)
        for side in ("first", "second")
    )
    between = " " if len(first + second) <= length else "\n"
    return f"{first}{between}− {second}"
