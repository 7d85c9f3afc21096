"""Differences between variants with their intervals (a forest plot)."""

from typing import Any

from matplotlib.figure import Figure

from labmill.evaluation.statistics import Verdict
from labmill.report import style
from labmill.report.results import Results

CAPTION = (
    "Differences of accuracy with their 95 % intervals, in percentage points: filled "
    "where the test shows a difference after correction, hollow where it does not. "
    "Squares: over seeds; circles: two single networks on the same test images."
)
ALT = "Forest plot: one row per comparison, its estimate and 95 percent interval."
ROWS = 24
LINE = 32


def draw(results: Results) -> Figure | None:
    """A row per tested claim about accuracies; the first 24."""
    rows = [(name, c) for c in results.statements if (name := compared(results, c))]
    if not rows:
        return None
    rows = rows[:ROWS]
    lines = max(name.count("\n") for name, _ in rows)
    drawn = style.figure(0.55 + (0.25 + 0.07 * lines) * len(rows))
    axes = drawn.subplots()
    axes.axvline(0, color=style.MUTED, lw=0.9)
    for y, (_, claim) in enumerate(rows):
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
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("Difference (percentage points)")
    axes.grid(axis="y", visible=False)
    return drawn


def compared(results: Results, claim: dict[str, Any]) -> str:
    """`first − second`, or nothing where the claim compares no two accuracies."""
    if not claim["test"] or not claim["interval"]:
        return ""
    match claim["id"].split(":"):
        case ["pair", first, second] | ["pair", first, second, "images", *_]:
            pass
        case ["compare", name, level, *rest]:
            asked = results.study["compare"][name]
            if not asked["metric"].endswith(("accuracy", "f1")):
                return ""
            if not rest:
                return minus(level, next(iter(asked["levels"])))
            first, second = rest[:2]
        case _:
            return ""
    return minus(results.label(first), results.label(second))


def minus(first: str, second: str) -> str:
    """`first − second`, on two lines where one would be long."""
    first, second = style.shorten(first, LINE), style.shorten(second, LINE)
    between = " " if len(first + second) <= LINE else "\n"
    return f"{first}{between}− {second}"
