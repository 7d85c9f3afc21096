"""Predicted against measured savings of all edits that were timed."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labmill.architecture_edits.records import Edit, EditRanking
from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.architecture_edits.tried import saved, timed

CAPTION = (
    "Share of a training step that each edit saves: predicted from the profile (left) and "
    "by counting operations alone (right), against the measured saving with its 95 % "
    "interval. On the dashed line both agree. Named: the edits that are variants of the "
    "study (ringed), and the one whose prediction is farthest off."
)
ALT = "Scatter plots of measured against predicted saving, coloured by kind of edit."
KINDS = (
    *("remove", "pool", "width", "separable", "classifier", "norm", "activation"),
    "declared",
)
SIDES = {
    "saving": ("predicted", "Predicted"),
    "operations_saving": ("operations", "Counted"),
}


def draw(results: StudyResults) -> list[Figure]:
    """Draw a figure per variant."""
    return [
        savings(results, variant, found.edits)
        for variant, found in results.rankings.items()
    ]


def savings(results: StudyResults, variant: str, proposed: EditRanking) -> Figure:
    """Draw two panels with one vertical axis."""
    rows = timed(proposed)
    drawn, panels = style.grid(2, columns=2, height=2.7, sharey=True)
    kinds = [kind for kind in KINDS if any(edit.kind == kind for edit in rows)]
    for axes, (key, (name, word)) in zip(panels, SIDES.items(), strict=True):
        for edit in rows:
            x, number = 100 * getattr(edit.predicted, key), kinds.index(edit.kind)
            found = saved(edit)
            saving, ends = 100 * found.saving, [100 * found.low, 100 * found.high]
            marks = axes.plot([x, x], ends, color=style.color(number), lw=1)
            marks += axes.plot(x, saving, **style.look(number, ms=4, ls="none"))
            text = f"{edit.words}: {word.lower()} {x:.0f} %, measured {saving:.0f} %"
            style.note(marks, text, of=edit.kind)
            if edit.variant:
                axes.plot(x, saving, "o", mfc="none", mec=style.INK, ms=9)
        whole = axes.get_xlim()
        axes.plot(whole, whole, color=style.MUTED, lw=0.8, ls="--", scalex=False)
        r = getattr(proposed.correlation, name)
        error = 100 * getattr(proposed.correlation, f"{name}_error")
        said = "" if r is None else f"r = {r:.2f}, "
        axes.set_title(f"{said}{error:.1f} points off on average")
        axes.set_xlabel(f"{word} saving (%)")
    panels[0].set_ylabel(
        f"Measured saving (%)\n{style.label(results.label(variant), 30)}"
    )
    panels[0].margins(y=0.12)
    name_some(panels[0], results, rows)
    looks = [style.look(n, ls="none") for n in range(len(kinds))]
    style.legend(drawn, kinds, looks, columns=7)
    return drawn


def name_some(axes: Axes, results: StudyResults, rows: Sequence[Edit]) -> None:
    """Name the study's own variants and the prediction that is farthest off.

    Below the marks, on the side of the line where the others are not.
    """
    farthest = max(
        rows, key=lambda edit: abs(saved(edit).saving - edit.predicted.saving)
    )
    for edit in rows:
        if edit.variant or edit is farthest:
            at = 100 * edit.predicted.saving, 100 * saved(edit).saving
            right = at[0] > sum(axes.get_xlim()) / 2
            axes.annotate(
                results.label(edit.variant) if edit.variant else edit.words,
                at,
                xytext=(0, 12) if edit is farthest else (0, -30),
                textcoords="offset points",
                ha="right" if right else "left",
                fontsize=6.5,
                arrowprops={"arrowstyle": "-", "color": style.MUTED, "lw": 0.5},
            )
