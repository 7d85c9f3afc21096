"""All points of a search: accuracy against cost, once per hyperparameter."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from labmill.report import search_charts, style
from labmill.report.figures.cost import logarithmic
from labmill.report.results import Results
from labmill.report.searched import FEW, points_of, varied
from labmill.report.text import ordered, setting
from labmill.search.pareto import front
from labmill.search.select import missed

CAPTION = (
    "Every point of the search: validation accuracy against the operations spent on "
    "training, coloured by the value of a hyperparameter. The line is the Pareto front; "
    "the cross is the chosen point; a hollow mark did not reach its target."
)
ALT = (
    "Scatter plots of validation accuracy against training operations, one panel per "
    "hyperparameter, coloured by its values."
)


def draw(results: Results) -> dict[str, Figure]:
    """A figure per search, a panel per hyperparameter."""
    return {name: scatter(chosen) for name, chosen in shown(results).items()}


def shown(results: Results) -> dict[str, dict[str, Any]]:
    """The searches of more points than their table tells, by name."""
    searches = results.searches.items()
    return {
        f"search {name}": one for name, one in searches if len(points_of(one)) > FEW
    }


def cost_of(points: list[dict[str, Any]]) -> str:
    """Operations where they were counted, else seconds."""
    return "operations" if any(p["operations"] for p in points) else "seconds"


def scatter(chosen: dict[str, Any]) -> Figure:
    """One search."""
    points = points_of(chosen)
    keys, cost = varied(points), cost_of(points)
    columns = 2 if len(keys) > 1 else 1
    drawn, panels = style.grid(len(keys), columns=columns, height=2.5, sharey=True)
    x = np.array([p[cost] for p in points], float)
    y = 100 * np.array([p["validation_accuracy"] for p in points])
    short_of = np.array([missed(p) for p in points])
    for axes, key in zip(panels, keys, strict=True):
        values = ordered({setting(p["settings"][key]) for p in points})
        for i, value in enumerate(values):
            mine = np.array([setting(p["settings"][key]) == value for p in points])
            look = {"ls": "none", "ms": 4, "color": style.color(i)}
            look["marker"] = style.marker(i)
            whole, hollow = mine & ~short_of, mine & short_of
            axes.plot(x[hollow], y[hollow], mfc="none", **look)
            axes.plot(x[whole], y[whole], label=style.shorten(value, 14), **look)
        order = np.flatnonzero(front(x, y))
        order = order[np.argsort(x[order])]
        axes.plot(x[order], y[order], lw=1, color=style.MUTED, zorder=1)
        axes.plot(x[0], y[0], "x", ms=9, mew=1.6, color=style.INK)
        logarithmic(axes)
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("Training operations" if cost == "operations" else "Seconds")
        name = key.split(".", 1)[1].replace("_", " ")
        # A legend of its own above each panel: the values differ from panel to panel.
        axes.legend(
            title=style.shorten(name),
            title_fontsize=8.5,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=4,
            handletextpad=0.1,
            columnspacing=0.8,
            alignment="left",
        )
    for axes in panels[::columns]:
        axes.set_ylabel("Validation accuracy (%)")
    return drawn


def chart(results: Results) -> dict[str, object]:
    """Scatters with a menu that chooses the hyperparameter which colours them."""
    found = shown(results).items()
    return {name: search_charts.scatter(chosen) for name, chosen in found}
