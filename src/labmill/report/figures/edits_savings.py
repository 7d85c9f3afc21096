"""Predicted against measured savings of all edits that were timed."""

from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.profiles import rankings
from labmill.report.results import Results

CAPTION = (
    "Share of a training step that each edit saves: predicted from the profile (left) and "
    "by counting operations alone (right), against the measured saving with its 95 % "
    "interval. On the line, prediction and measurement agree."
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
        savings(results.label(variant), found["edits"])
        for variant, found in rankings(results).items()
    ]
    return drawn or None


def savings(label: str, proposed: dict) -> Figure:
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
                [x, x], [measured["low"], measured["high"]], color=style.GRID, lw=1.2
            )
            axes.plot(x, measured["saving"], **style.look(number, ms=5, ls="none"))
        ends = axes.get_xlim()
        axes.plot(ends, ends, color=style.MUTED, lw=0.8, ls="--", scalex=False)
        r = proposed["correlation"][name]
        said = "" if r is None else f"r = {r:.2f}, {len(rows)} edits"
        axes.set_title(said)
        axes.set_xlabel(f"{word} saving (%)")
    panels[0].set_ylabel(f"Measured saving (%)\n{style.shorten(label, 30)}")
    style.legend(
        drawn, kinds, [style.look(n, ls="none") for n in range(len(kinds))], columns=7
    )
    return drawn
