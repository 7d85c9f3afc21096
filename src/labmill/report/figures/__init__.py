"""Figures. The folder is the registry: `figures/<name>.py` is the figure `<name>`.

A figure's file has

    CAPTION = "Test accuracy against cost."        # below the figure
    ALT = "Scatter plot: one point per variant …"   # for those who cannot see it

    def draw(results: Results) -> Figure | list[Figure] | None: …

`draw` returns matplotlib figures made with `labmill.report.style`, or None where the
study has nothing to show. One figure per thing with a name is a mapping from names, which
the captions then say. Optionally `def chart(results) -> altair chart | None` beside it:
the same for the page, with what a mouse or finger can do (see `report.charts`); where
`draw` gives a mapping, `chart` gives one of the same names.
Sections name their figures; a study names further ones under `figures:`.
"""

from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from labmill import registry
from labmill.report.results import Results


@dataclass(frozen=True)
class Drawing:
    """A drawn figure. `chart`: its interactive form as Vega-Lite, or None."""

    name: str
    figure: Figure
    caption: str
    alt: str
    chart: dict[str, Any] | None = None


def draw(name: str, results: Results) -> list[Drawing]:
    """All that the figure `name` draws of these results; [] where there is nothing."""
    module = registry.load("report/figures", name)
    figures = many(module.draw(results))
    charts = many(module.chart(results)) if hasattr(module, "chart") else {}
    alone = len(figures) == 1
    return [
        Drawing(
            name=name if alone else f"{name}-{number}",
            figure=figure,
            caption=module.CAPTION if alone else f"{module.CAPTION} ({about})",
            alt=module.ALT if alone else f"{module.ALT} ({about})",
            chart=charts[about].to_dict() if about in charts else None,
        )
        for number, (about, figure) in enumerate(figures.items(), 1)
    ]


def many(drawn: Any) -> dict[str, Any]:
    """What `draw` or `chart` returned as a mapping from what each one is about."""
    match drawn:
        case None:
            return {}
        case dict():
            return drawn
        case list():
            return {f"part {i} of {len(drawn)}": one for i, one in enumerate(drawn, 1)}
        case _:
            return {"part 1 of 1": drawn}
