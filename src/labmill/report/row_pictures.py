"""Pictures in a row: a value with its seeds, or a difference of a forest plot."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from labmill.report.answer import DECIDED
from labmill.report.claims.claim import Claim
from labmill.report.style import INK, MUTED, color
from labmill.report.text import Markdown
from labmill.stats.significance import Mean

# Points.
WIDTH, HEIGHT, EDGE = 90, 9, 3
FOREST = 300


class RowPicture(Markdown):
    """A picture in a cell: its Markdown, and the drawing that it names."""

    name: str
    svg: str


def interval_pictures(
    kind: str, rows: Mapping[str, tuple[Mean, Sequence[float]]]
) -> dict[str, RowPicture]:
    """Return a picture for each row, all on one axis.

    rows: the mean of each row, and the values of its seeds.
    """
    ends = [end for m, values in rows.values() for end in (*values, m.low, m.high)]
    at = axis([end for end in ends if end is not None], WIDTH)
    made = {}
    for number, (row, (mean, values)) in enumerate(rows.items(), 1):
        drawn = [
            f'<circle cx="{at(value)}" cy="{HEIGHT / 2}" r="1.6" fill="{MUTED}"/>'
            for value in values
        ]
        if mean.low is not None and mean.high is not None:
            drawn.insert(0, line(at(mean.low), at(mean.high), INK))
        drawn.append(upright(at(mean.estimate), INK, 1.6))
        what = "interval, mean and seeds"
        made[row] = picture(f"row-{kind}-{number}", drawn, WIDTH, what)
    return made


def forest_pictures(claims: Iterable[Claim]) -> dict[str, RowPicture]:
    """Return claim → its row of a forest plot, all on one axis with 0."""
    found = list(claims)
    at = axis(forest_axis(found), FOREST)
    made = {}
    for claim in found:
        low, high = claim["interval"]
        hue = color(0) if claim["verdict"] in DECIDED else MUTED
        middle = at(claim["estimate"])
        drawn = [
            upright(at(0.0), MUTED, 0.7),
            line(at(low), at(high), hue),
            f'<rect x="{middle - 2.5:g}" y="{HEIGHT / 2 - 2.5}" width="5" height="5" '
            f'fill="{hue}"/>',
        ]
        name = f"row-forest-{claim['number']}"
        what = "estimate and interval on one axis for all questions"
        made[claim["id"]] = picture(name, drawn, FOREST, what)
    return made


def forest_axis(claims: Iterable[Claim]) -> tuple[float, float]:
    """Return the ends of the axis that forest pictures share."""
    ends = [0.0, *(end for claim in claims for end in claim["interval"])]
    return min(ends), max(ends)


def axis(values: Sequence[float], width: float) -> Callable[[float], float]:
    """Return the position of a value on an axis that shows all values."""
    low, high = min(values, default=0.0), max(values, default=0.0)

    def at(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(EDGE + share * (width - 2 * EDGE), 2)

    return at


def line(start: float, end: float, hue: str) -> str:
    """Return an interval as SVG."""
    return f'<path d="M{start} {HEIGHT / 2}H{end}" stroke="{hue}"/>'


def upright(at: float, hue: str, width: float) -> str:
    """Return a line from top to bottom as SVG."""
    return f'<path d="M{at} 1V{HEIGHT - 1}" stroke="{hue}" stroke-width="{width}"/>'


def picture(name: str, drawn: Iterable[str], width: float, what: str) -> RowPicture:
    """Return a drawing as Markdown; `what`: its alternative text."""
    made = RowPicture(f'![](figures/{name}.svg){{alt="{what}"}}')
    made.name = name
    made.svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}pt" '
        f'height="{HEIGHT}pt" viewBox="0 0 {width} {HEIGHT}">{"".join(drawn)}</svg>\n'
    )
    return made
