"""Predicted against measured savings of all edits that were timed."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.profiles import rankings
from labmill.report.results import Results

CAPTION = (
    "Share of a training step that each edit saves: predicted from the profile (left) and "
    "by counting operations alone (right), against the measured saving with its 95 % "
    "interval. On the dashed line both agree. Named: the edits that are variants of the "
    "study (ringed), and the one whose prediction is farthest off."
)
ALT = "Scatter plots of measured against predicted saving, coloured by kind of edit."
KINDS = ("remove", "pool", "width", "separable", "classifier", "norm", "activation")
SIDES = {
    "saving": ("predicted", "Predicted"),
    "operations_saving": ("operations", "Counted"),
}


def draw(results: Results) -> list[Figure] | None:
    """A figure per variant."""
    drawn = [
        savings(results, variant, found["edits"])
        for variant, found in rankings(results).items()
    ]
    return drawn or None


def savings(results: Results, variant: str, proposed: dict[str, Any]) -> Figure:
    """Two panels with one vertical axis."""
    rows = [row for row in proposed["ranking"] if (row["measured"] or {}).get("n")]
    drawn, panels = style.grid(2, columns=2, height=2.7, sharey=True)
    kinds = [
        kind for kind in (*KINDS, "declared") if any(r["kind"] == kind for r in rows)
    ]
    for axes, (key, (name, word)) in zip(panels, SIDES.items(), strict=True):
        for row in rows:
            measured = {k: 100 * row["measured"][k] for k in ("saving", "low", "high")}
            x, number = 100 * row["predicted"][key], kinds.index(row["kind"])
            axes.plot(
                [x, x],
                [measured["low"], measured["high"]],
                color=style.color(number),
                lw=1,
            )
            axes.plot(x, measured["saving"], **style.look(number, ms=4, ls="none"))
            if row["variant"]:
                axes.plot(x, measured["saving"], "o", mfc="none", mec=style.INK, ms=9)
        ends = axes.get_xlim()
        axes.plot(ends, ends, color=style.MUTED, lw=0.8, ls="--", scalex=False)
        r = proposed["correlation"][name]
        error = 100 * proposed["correlation"][f"{name}_error"]
        said = "" if r is None else f"r = {r:.2f}, "
        axes.set_title(f"{said}{error:.1f} points off on average")
        axes.set_xlabel(f"{word} saving (%)")
    label = style.shorten(results.label(variant), 30)
    panels[0].set_ylabel(f"Measured saving (%)\n{label}")
    panels[0].margins(y=0.12)
    name_some(panels[0], results, rows)
    style.legend(
        drawn, kinds, [style.look(n, ls="none") for n in range(len(kinds))], columns=7
    )
    return drawn


def name_some(axes: Axes, results: Results, rows: list[dict[str, Any]]) -> None:
    """Names of the study's own variants and of the prediction that is farthest off.

    Below the marks, on the side of the line where the others are not.
    """
    farthest = max(
        rows, key=lambda r: abs(r["measured"]["saving"] - r["predicted"]["saving"])
    )
    for row in rows:
        if row["variant"] or row is farthest:
            at = tuple(100 * row[key]["saving"] for key in ("predicted", "measured"))
            right = at[0] > sum(axes.get_xlim()) / 2
            axes.annotate(
                results.label(row["variant"]) if row["variant"] else row["words"],
                at,
                xytext=(0, 12) if row is farthest else (0, -30),
                textcoords="offset points",
                ha="right" if right else "left",
                fontsize=6.5,
                arrowprops={"arrowstyle": "-", "color": style.MUTED, "lw": 0.5},
            )
