"""Is the unit that a criterion would remove first the one that is missed least?"""

from matplotlib.figure import Figure

from labmill.pruning.records import Influence
from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.pruning.influence import correlation_interval

CAPTION = (
    "Does a criterion foresee which unit is missed least? Spearman's correlation over units "
    "(one seed, each removed alone) of its order with the rise of the validation loss, and "
    "95 % intervals. Filled: differs from a random order, 0."
)
ALT = "Dot chart: a rank correlation with its interval for each layer and criterion."


def draw(results: StudyResults) -> Figure | None:
    """Draw a row per network, layer and criterion."""
    found = [
        (run.label, layer, criterion, rhos.loss_rise, len(about.loss_rise))
        for run, record in results.analysed_runs(Influence)
        for layer, about in record.layers.items()
        for criterion, rhos in about.rank_correlation.items()
        if rhos.loss_rise is not None
    ]
    if not found:
        return None
    whose = len({label for label, *_ in found}) > 1
    names = [
        f"{f'{label}, ' if whose else ''}{layer}, {criterion}"
        for label, layer, criterion, *_ in found
    ]
    drawn, axes = style.rows_of(names, height=0.22)
    criteria = list(dict.fromkeys(criterion for _, _, criterion, *_ in found))
    axes.axvline(0, color=style.MUTED, lw=0.9)
    for row, (_, _, criterion, rho, units) in enumerate(found):
        color = style.color(criteria.index(criterion))
        low, high = correlation_interval(rho, units) or (rho, rho)
        marks = axes.plot([low, high], [row, row], color=color, lw=1.4)
        full = color if low > 0 or high < 0 else style.PAPER
        marks += axes.plot(rho, row, "o", ms=5, mec=color, mfc=full)
        style.note(marks, f"{names[row]}: {rho:.2f} ({low:.2f} to {high:.2f})")
    axes.set_xlim(-1.03, 1.03)
    axes.set_xlabel("Rank correlation")
    return drawn
