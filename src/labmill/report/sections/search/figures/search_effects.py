"""What each hyperparameter does on its own: means over all other settings."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.number_format import percent
from labmill.report.results import StudyResults
from labmill.report.sections.search.points import (
    accuracies,
    shown,
    values_of,
    varied,
    words,
)
from labmill.report.text import setting
from labmill.search.records import RankedPoint
from labmill.stats.significance import mean_over_seeds

CAPTION = (
    "Main effects: the mean validation accuracy of all points that share a value. The 95 % "
    "interval is that of differences between points that agree in all other settings "
    "(Cousineau–Morey), so that these do not widen it."
)
ALT = "Dot charts, one panel per hyperparameter: mean accuracy per value with interval."


def draw(results: StudyResults) -> dict[str, Figure]:
    """Draw a figure per search."""
    return {name: effects(points) for name, points in shown(results).items()}


def effects(points: Sequence[RankedPoint]) -> Figure:
    """Draw one search: a panel per hyperparameter, one vertical axis for all."""
    keys, known = varied(points), 100 * accuracies(points)
    spare = 0.06 * np.ptp(known) or 1.0
    drawn, panels = style.grid(len(keys), height=1.9, sharey=True)
    for axes, (key, values) in zip(panels, keys.items(), strict=True):
        mine = np.array(values_of(points, key))
        margins = margins_of(points, key)
        for i, value in enumerate(values):
            seen = known[mine == value]
            # In no order: points come ranked, and streaks would look like a trend.
            jitter = np.random.default_rng(i).uniform(-0.12, 0.12, len(seen))
            axes.plot(i + jitter, seen, ".", ms=2.5, color=style.MUTED, alpha=0.6)
            mean, margin = seen.mean(), 100 * margins.get(value, 0.0)
            ends = [mean - margin, mean + margin]
            marks = axes.plot([i, i], ends, lw=2, color=style.color(0))
            marks += axes.plot(i, mean, "o", ms=5, color=style.color(0))
            style.note(marks, f"{words(key)} {value}: {percent(mean / 100, 2)}")
        axes.set_xlim(-0.5, len(values) - 0.5)
        style.names_below(axes, values, 14)
        axes.set_title(style.label(words(key)))
        # An interval may leave the range of the points.
        axes.set_ylim(known.min() - spare, known.max() + spare)
    drawn.supylabel("Validation accuracy (%)")
    return drawn


def margins_of(points: Sequence[RankedPoint], key: str) -> dict[str, float]:
    """Return value of a setting → half its mean's interval within the grid, 0..1.

    Of each set of points that differ in this setting alone, the mean is taken out; what
    is left varies by the setting and by luck. The k values' variance is then k / (k - 1)
    times what is left shows (Cousineau, 2005; Morey, 2008). Empty for a single set.
    """
    blocks: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for point, accuracy in zip(points, accuracies(points), strict=True):
        rest = {k: setting(v) for k, v in point.settings.items() if k != key}
        block = blocks.setdefault(tuple(sorted(rest.items())), {})
        block[setting(point.settings[key])] = float(accuracy)
    k = len({*values_of(points, key)})
    whole = [block for block in blocks.values() if len(block) == k]
    if len(whole) < 2 or k < 2:
        return {}
    found = {}
    for value in whole[0]:
        left = [block[value] - np.mean(list(block.values())) for block in whole]
        mean = mean_over_seeds(left)
        half = 0.0 if mean.high is None else mean.high - mean.estimate
        found[value] = half * (k / (k - 1)) ** 0.5
    return found
