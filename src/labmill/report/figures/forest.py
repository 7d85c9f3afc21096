"""Differences between variants with their intervals (a forest plot)."""

from math import ceil
from typing import Any

from matplotlib.figure import Figure

from labmill.evaluation.statistics import Verdict
from labmill.report import style
from labmill.report.claims.template import Kind
from labmill.report.claims.words import metric, unescaped
from labmill.report.results import Results

CAPTION = (
    "Differences of accuracy with their 95 % intervals, in percentage points: filled "
    "where the test shows a difference after correction, hollow where it does not. "
    "Squares: over seeds, two variants by Tukey's test with intervals corrected over all "
    "pairs; circles: two single networks on the same test images."
)
ALT = "Forest plot: one row per comparison, its estimate and 95 percent interval."
ROWS = 24
LINE = 32
QUOTES = str.maketrans("", "", "“”")


def draw(results: Results) -> list[Figure] | None:
    """A row per tested difference of accuracies, in as many parts as that takes.

    The answers to the study's questions stand first; no comparison stands twice.
    """
    found = [claim for claim in results.statements if compares(claim)]
    found.sort(key=lambda claim: claim["kind"] != Kind.QUESTION)
    once: dict[Any, dict[str, Any]] = {}
    for claim in found:
        pairs = frozenset(map(tuple, claim["contrast"]["pairs"]))
        once.setdefault((pairs, claim["contrast"]["metric"], claim["test"]), claim)
    rows = list(once.values())
    parts = ceil(len(rows) / ROWS)
    size = ceil(len(rows) / parts) if parts else 1
    return [part(rows[i : i + size]) for i in range(0, len(rows), size)] or None


def part(claims: list[dict[str, Any]]) -> Figure:
    """One figure of some rows."""
    names = [minus(claim["contrast"]) for claim in claims]
    lines = max(name.count("\n") for name in names)
    drawn = style.figure(0.55 + (0.25 + 0.07 * lines) * len(names))
    axes = drawn.subplots()
    axes.axvline(0, color=style.MUTED, lw=0.9)
    for y, claim in enumerate(claims):
        low, high = (100 * end for end in claim["interval"])
        shown = claim["verdict"] in (Verdict.HIGHER, Verdict.LOWER)
        color = style.color(0) if shown else style.MUTED
        axes.plot([low, high], [y, y], color=color, lw=1.6)
        axes.plot(
            100 * claim["estimate"],
            y,
            "o" if "images" in claim["test"] else "s",
            ms=5.5,
            mfc=color if shown else style.PAPER,
            mec=color,
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("Difference (percentage points)")
    axes.grid(axis="y", visible=False)
    return drawn


def compares(claim: dict[str, Any]) -> bool:
    """Whether a claim tests the difference of two accuracies over all classes."""
    return bool(
        claim["contrast"]
        and claim["section"] != "classes"
        and metric(claim["contrast"]["metric"]).unit == "%"
        and claim["interval"]
        and claim["verdict"] != Verdict.TOO_FEW
    )


def minus(contrast: dict[str, Any]) -> str:
    """`first − second`, on two lines where one would be long."""
    first, second = (
        style.shorten(unescaped(contrast[side]).translate(QUOTES), LINE)
        for side in ("first", "second")
    )
    between = " " if len(first + second) <= LINE else "\n"
    return f"{first}{between}− {second}"
