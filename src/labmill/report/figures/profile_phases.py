"""Where a training step's time goes, phase by phase."""

from matplotlib.figure import Figure

from labmill.measure.trace import PHASES
from labmill.report import style
from labmill.report.profiles import APART, profiled
from labmill.report.results import Results

CAPTION = (
    "Where a training step's time goes: shares of the phases, timed without the "
    f"profiler. At the right: the whole step. {APART}"
)
ALT = (
    "Stacked bars, one per variant: shares of data, forward, loss, backward, optimizer."
)


def draw(results: Results) -> Figure | None:
    """A bar per variant."""
    found = profiled(results)
    if not found:
        return None
    drawn = style.figure(0.34 * len(found) + 1.1)
    axes = drawn.subplots()
    for place, profile in enumerate(found.values()):
        whole, left = sum(profile["phases"].values()), 0.0
        for number, phase in enumerate(PHASES):
            share = 100 * profile["phases"][phase] / whole
            axes.barh(place, share, left=left, height=0.68, color=style.color(number))
            if share >= 6:
                middle = left + share / 2
                axes.text(
                    middle,
                    place,
                    f"{share:.0f}",
                    color="#ffffff",
                    ha="center",
                    va="center",
                )
            left += share
        ms = profile["step"]["median_ms"]
        axes.text(101, place, f"{ms:.3g} ms", va="center", color=style.INK)
    labels = [style.shorten(results.label(variant), 34) for variant in found]
    axes.set_yticks(range(len(found)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("Share of a training step (%)")
    axes.grid(axis="y", visible=False)
    styles = [{"color": style.color(n), "lw": 6} for n in range(len(PHASES))]
    style.legend(drawn, PHASES, styles, columns=6, handlelength=1.0)
    return drawn
