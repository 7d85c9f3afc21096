"""Figures. `sections/<topic>/figures/<name>.py` is the figure `<name>`.

A figure's file has

    CAPTION = "Test accuracy against cost."        # below it; or caption(results)
    ALT = "Scatter plot: one point per variant …"   # for those who cannot see it

    def draw(results: StudyResults) -> Figure | list[Figure] | None: …

`draw` returns matplotlib figures made with `labmill.report.style`, or None where the
study has nothing to show. One figure per thing with a name is a mapping from names, which
the captions contain.
Sections name their figures; a study names further ones under `figures:`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from matplotlib.figure import Figure

from labmill.core import registry
from labmill.report import style
from labmill.report.results import StudyResults

Drawn = Figure | list[Figure] | Mapping[str, Figure] | None


@dataclass(frozen=True)
class Drawing:
    """A drawn figure, on paper and on a narrow screen."""

    name: str
    figure: Figure
    phone: Figure
    caption: str
    alt: str

    @cached_property
    def svg(self) -> str:
        """The figure as the PDF and wide screens show it."""
        return style.svg(self.figure)

    @cached_property
    def narrow_svg(self) -> str:
        """The figure as phones show it."""
        return style.svg(self.phone)


def draw(name: str, results: StudyResults) -> list[Drawing]:
    """Draw all of the figure `name`; [] where these results have nothing to show."""
    module = registry.load("report/figures", name)
    figures = named(module.draw(results))
    with style.phone():
        phones = named(module.draw(results))
    alone = len(figures) == 1
    made = getattr(module, "caption", None)
    caption = made(results) if made and figures else module.CAPTION
    return [
        Drawing(
            name=name if alone else f"{name}-{number}",
            figure=figures[about],
            phone=phones[about],
            caption=caption if alone else f"{caption} ({about})",
            alt=module.ALT if alone else f"{module.ALT} ({about})",
        )
        for number, about in enumerate(figures, 1)
    ]


def named(drawn: Drawn) -> Mapping[str, Figure]:
    """Return what `draw` returned as a mapping from what each figure is about."""
    match drawn:
        case None:
            return {}
        case list():
            return {f"part {i} of {len(drawn)}": one for i, one in enumerate(drawn, 1)}
        case Figure():
            return {"part 1 of 1": drawn}
        case Mapping():
            return drawn
    raise TypeError(f"draw returned {type(drawn).__name__}; expected a figure")
