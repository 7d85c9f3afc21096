"""Figures. The folder is the registry: `figures/<name>.py` is the figure `<name>`.

A figure's file has

    CAPTION = "Test accuracy against cost."        # below the figure
    ALT = "Scatter plot: one point per variant …"   # for those who cannot see it

    def draw(results: Results) -> Figure | list[Figure] | None: …

`draw` returns matplotlib figures made with `labmill.report.style`, or None where the
study has nothing to show. Optionally `def chart(results) -> altair chart | None` beside
it: the same for the page, with what a mouse or finger can do (see `report.charts`).
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
    drawn = module.draw(results)
    if drawn is None:
        return []
    many = drawn if isinstance(drawn, list) else [drawn]
    chart = (
        module.chart(results) if hasattr(module, "chart") and len(many) == 1 else None
    )
    return [
        Drawing(
            name=name if len(many) == 1 else f"{name}-{number}",
            figure=one,
            caption=module.CAPTION
            if len(many) == 1
            else f"{module.CAPTION} (part {number} of {len(many)})",
            alt=module.ALT,
            chart=chart.to_dict() if chart is not None else None,
        )
        for number, one in enumerate(many, 1)
    ]
