"""The accuracy of every combination of two settings, of a study with a matrix."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.text import spaced

CAPTION = (
    "Test accuracy (%) of every combination of the settings, means over seeds. Darker is "
    "better."
)
ALT = (
    "Heat map with a number in each cell: rows are values of the first setting, columns "
    "of the second."
)


def draw(results: StudyResults) -> list[Figure]:
    """Draw a heat map per combination of the third and further settings."""
    grids = matrices(results)
    figures = []
    for title, rows, columns, cells in grids:
        shares = np.array([[cells.get((r, c), np.nan) for c in columns] for r in rows])
        if np.isnan(shares).all():
            continue
        words = [
            ["–" if np.isnan(s) else f"{100 * s:.1f}" for s in line] for line in shares
        ]
        drawn = style.figure(0.9 + 0.45 * len(rows))
        axes = drawn.subplots()
        style.heat(axes, np.nan_to_num(shares), words)
        style.names_below(axes, columns, 14)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_title(title)
        figures.append(drawn)
    return figures


Grid = tuple[str, list[str], list[str], dict[tuple[str, str], float]]


def matrices(results: StudyResults) -> list[Grid]:
    """Return title, rows, columns and accuracies of every table of two settings."""
    found: dict[str, Any] = {}
    for name in results.variants:
        factors = results.study["variants"].get(name, {}).get("factors") or {}
        if len(factors) < 2:
            continue
        (first, row), (second, column), *more = factors.items()
        about = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in more)
        words = [spaced(key) for key in (first, second)]
        title = f"{words[0]} (rows) and {words[1]}" + (f"; {about}" if about else "")
        rows, columns, cells = found.setdefault(title, ({}, {}, {}))
        rows[str(row)] = columns[str(column)] = None
        if mean := results.mean(name, "test_accuracy"):
            cells[str(row), str(column)] = mean.estimate
    return [
        (t, [*rows], [*columns], cells) for t, (rows, columns, cells) in found.items()
    ]
