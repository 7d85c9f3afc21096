"""How many images of each class stand in each part of the split."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.contents import by_class
from labmill.report.results import Results

CAPTION = "How many of each class stand in each part of the split."
ALT = "Bar chart: number per class, one bar per part of the split."


def draw(results: Results) -> Figure | None:
    """Grouped bars."""
    parts = [part for part in results.sizes if any(by_class(results, part))]
    drawn = style.figure(2.2)
    axes = drawn.subplots()
    at = np.arange(len(results.classes))
    width = 0.8 / len(parts)
    for i, part in enumerate(parts):
        place = at + (i - (len(parts) - 1) / 2) * width
        axes.bar(place, by_class(results, part), width * 0.92, color=style.color(i))
    names = [style.shorten(name, 12) for name in results.classes]
    turned = max(map(len, names)) * len(names) > 75
    axes.set_xticks(
        at, names, rotation=35 if turned else 0, ha="right" if turned else "center"
    )
    axes.set_ylabel(results.things.capitalize())
    axes.grid(axis="x", visible=False)
    styles = [{"color": style.color(i), "lw": 6} for i in range(len(parts))]
    style.legend(drawn, parts, styles)
    return drawn
