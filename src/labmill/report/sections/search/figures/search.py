"""All points of a search: accuracy against cost, once per hyperparameter."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.search.points import (
    COSTS,
    front_and_choice,
    mark,
    shown,
    values_of,
    varied,
    words,
)
from labmill.search.records import RankedPoint

CAPTION = (
    "Every point of the search: validation accuracy against the operations spent on "
    "training, coloured by the value of a hyperparameter. The line is the Pareto front; "
    "the cross is the chosen point."
)
HOLLOW = " A hollow mark did not reach its target."

ALT = (
    "Scatter plots of validation accuracy against training operations, one panel per "
    "hyperparameter, coloured by its values."
)


def caption(results: StudyResults) -> str:
    """Return what is drawn."""
    points = [point for found in shown(results).values() for point in found]
    missed = any(point.reached is False for point in points)
    return f"{CAPTION}{HOLLOW if missed else ''}"


def draw(results: StudyResults) -> dict[str, Figure]:
    """Draw a figure per search, a panel per hyperparameter."""
    return {name: scatter(p, results.guessing) for name, p in shown(results).items()}


def scatter(points: Sequence[RankedPoint], chance: float | None) -> Figure:
    """Draw one search."""
    keys = varied(points)
    cost = "operations" if any(p.operations for p in points) else "seconds"
    columns = 2 if len(keys) > 1 else 1
    drawn, panels = style.grid(len(keys), columns=columns, height=2.5, sharey=True)
    for axes, (key, values) in zip(panels, keys.items(), strict=True):
        looks = {value: style.look(i) for i, value in enumerate(values)}
        for point, value in zip(points, values_of(points, key), strict=True):
            mark(axes, point, cost, **looks[value])
        for value, look in looks.items():
            axes.plot([], [], ls="none", ms=4, label=style.label(value, 14), **look)
        front_and_choice(axes, points, cost)
        axes.set_xlabel(COSTS[cost])
        # A separate legend above each panel: the values differ from panel to panel.
        axes.legend(
            title=style.label(words(key)),
            title_fontsize=style.SIZE,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=4,
            handletextpad=0.1,
            columnspacing=0.8,
            alignment="left",
        )
    drawn.supylabel("Validation accuracy (%)")
    style.guessing(panels[0], chance)
    return drawn
