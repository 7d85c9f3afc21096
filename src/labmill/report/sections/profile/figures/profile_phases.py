"""Where a training step's time goes, phase by phase."""

from matplotlib.figure import Figure

from labmill.profiling.trace import PHASES
from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.profile.profiles import APART, phases_of, profiled

CAPTION = (
    "Where a training step's time goes: shares of the phases, timed without the "
    f"profiler. At the right: the whole step. {APART}"
)
ALT = (
    "Stacked bars, one per variant: shares of data, forward, loss, backward, optimizer."
)


def draw(results: StudyResults) -> Figure | None:
    """Draw a bar per variant."""
    found = profiled(results)
    if not found:
        return None
    drawn, axes = style.rows_of([*map(results.label, found)], height=0.34)
    for row, (variant, profile) in enumerate(found.items()):
        phases = phases_of(profile)
        whole, left = sum(phases.values()), 0.0
        for number, phase in enumerate(PHASES):
            share, color = 100 * phases[phase] / whole, style.color(number)
            bar = axes.barh(row, share, left=left, height=0.68, color=color)
            text = f"{results.label(variant)}, {phase}: {share:.1f} %"
            style.note(bar, text, of=phase)
            if share >= 6 / style.narrow():
                words: style.Look = {
                    "color": style.ink_on(color),
                    "ha": "center",
                    "va": "center",
                }
                axes.text(left + share / 2, row, f"{share:.0f}", **words)
            left += share
        axes.text(101, row, f"{profile.step.median_ms:.3g} ms", va="center")
    axes.set_xlim(0, 100)
    axes.set_xlabel("Share of a training step (%)")
    looks = style.bar_looks(len(PHASES))
    style.legend(drawn, PHASES, looks, columns=6, handlelength=1.0)
    return drawn
