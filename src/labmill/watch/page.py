"""The page of a running study: all curves, one file, opened from disk."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup

from labmill.core.files import atomic_write
from labmill.core.progress import Point
from labmill.report.style import color
from labmill.stats.significance import Mean, mean_over_seeds
from labmill.watch.board import accuracy_so_far, seeds_so_far
from labmill.watch.study_files import StudyFiles
from labmill.watch.terminal import rest

# Seconds after which the browser reads the page again.
RELOAD = 5
# A panel: its size, and the margins around its axes.
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 320, 190, 40, 22, 8, 8

Curve = list[tuple[float, float]]


@dataclass(frozen=True)
class Axes:
    """The range of a group of panels; the horizontal one begins at 0."""

    right: float
    low: float
    high: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the position of a point in a panel."""
        share = (y - self.low) / ((self.high - self.low) or 1)
        across = WIDTH - LEFT - RIGHT
        return LEFT + x / self.right * across, TOP + (1 - share) * self.down

    @property
    def down(self) -> int:
        """The height of the axes."""
        return HEIGHT - TOP - BOTTOM


def write_page(path: Path, study: StudyFiles) -> None:
    """Write the page of a running study; that of a finished one leads to its report."""
    loader = jinja2.FileSystemLoader(str(files("labmill.watch")))
    template = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined
    ).get_template("page.html.j2")
    css = files("labmill.report").joinpath("assets", "report.css")
    board, plan = study.board, study.plan
    trainings = board.trainings()
    names = [entry.name for entry in plan.resolved.values() if entry.name in trainings]
    labels = {entry.name: entry.label for entry in plan.resolved.values()}
    curves = {name: list(trainings[name].values()) for name in names}
    groups = {
        "Validation accuracy (%)": {
            name: [accuracies(curve) for curve in of] for name, of in curves.items()
        },
        "Training loss": {
            name: [losses(curve) for curve in of] for name, of in curves.items()
        },
    }
    page = template.render(
        css=Markup(css.read_text(encoding="utf-8")),
        title=plan.study.title or plan.name,
        head=board.head,
        done=board.done,
        total=board.total,
        left=rest(board),
        failed=[job.title for job in board.failed],
        updated=time.strftime("%H:%M:%S"),
        reload=RELOAD,
        report=study.report.name if study.complete else None,
        jobs=[(job.line, job.state) for job in board.running.values()],
        variants=[
            (
                labels[name],
                seeds_so_far(finished, seeds),
                accuracy_so_far(finished, reached),
                width(board.curves.get(name, {}).values()),
            )
            for name, finished, seeds, reached in board.ranked()
        ],
        groups={
            title: [
                (labels[name], Markup(panel(labels[name], title, of, axes, color(i))))
                for i, (name, of) in enumerate(found.items())
            ]
            for title, found in groups.items()
            if (axes := shared_axes(found.values()))
        },
    )
    with atomic_write(path) as file:
        file.write(page)


def accuracies(curve: Iterable[Point]) -> Curve:
    """Return the validated epochs of a run with the accuracy in percent."""
    return [(epoch, 100 * value) for epoch, _, value in curve if value is not None]


def losses(curve: Iterable[Point]) -> Curve:
    """Return the epochs of a run with the training loss."""
    return [(epoch, value) for epoch, value, _ in curve if value is not None]


def width(curves: Iterable[Iterable[Point]]) -> str:
    """Return the 95 % interval of a variant's accuracy over its seeds, in percent."""
    last = [accuracies(curve)[-1][1] / 100 for curve in curves if accuracies(curve)]
    found = mean_over_seeds(last, share=True) if last else None
    if found is None or found.low is None or found.high is None:
        return ""
    return f"{100 * found.low:.1f} to {100 * found.high:.1f} %"


def shared_axes(groups: Iterable[list[Curve]]) -> Axes | None:
    """Return the axes of panels that are to be compared; None without any point."""
    points = [point for curves in groups for curve in curves for point in curve]
    if not points:
        return None
    values = [y for _, y in points]
    return Axes(max(1.0, *(x for x, _ in points)), min(0.0, *values), max(values))


def mean_curve(curves: list[Curve], *, share: bool) -> list[tuple[float, Mean]]:
    """Return mean and interval at each epoch that several seeds have."""
    by_epoch: dict[float, list[float]] = {}
    for curve in curves:
        for epoch, value in curve:
            by_epoch.setdefault(epoch, []).append(value)
    scale = 100 if share else 1
    return [
        (epoch, mean_over_seeds([value / scale for value in values], share=share))
        for epoch, values in sorted(by_epoch.items())
        if len(values) > 1
    ]


def panel(label: str, title: str, curves: list[Curve], axes: Axes, stroke: str) -> str:
    """Draw the seeds of one variant: thin lines, their mean, its 95 % interval."""
    share = "%" in title
    scale = 100 if share else 1
    means = mean_curve(curves, share=share)
    drawn = [
        f'<polyline class="seed" stroke="{stroke}" points="{line(curve, axes)}"/>'
        for curve in curves
        if len(curve) > 1
    ]
    drawn += [
        f'<circle r="2" fill="{stroke}" cx="{x:.1f}" cy="{y:.1f}"/>'
        for curve in curves
        if len(curve) == 1
        for x, y in [axes.at(*curve[0])]
    ]
    band = [(x, m.low, m.high) for x, m in means if m.low is not None]
    if band:
        around = [(x, min(axes.high, scale * (high or 0))) for x, _, high in band]
        around += [
            (x, max(axes.low, scale * (low or 0))) for x, low, _ in reversed(band)
        ]
        drawn.insert(0, f'<polygon fill="{stroke}" points="{line(around, axes)}"/>')
    middle = [(x, scale * m.estimate) for x, m in means]
    if len(middle) > 1:
        drawn.append(f'<polyline stroke="{stroke}" points="{line(middle, axes)}"/>')
    ticks = "".join(
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        for value in steps(axes.low, axes.high)
        for _, y in [axes.at(0, value)]
    )
    seeds = len(curves)
    about = f"{title} of {label} by epoch, {seeds} seed{'s' if seeds > 1 else ''}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{Markup.escape(about)}">'
        f'<g class="ticks">{ticks}'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">'
        f"epoch {axes.right:g}</text></g>{''.join(drawn)}</svg>"
    )


def line(curve: Curve, axes: Axes) -> str:
    """Return the points of a line."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in (axes.at(*point) for point in curve))


def steps(low: float, high: float) -> list[float]:
    """Return about four round numbers between two values.

    >>> steps(0, 97)
    [0.0, 20.0, 40.0, 60.0, 80.0]
    """
    span = (high - low) or 1
    size = next(
        step
        for power in range(-3, 12)
        for step in (10.0**power, 2 * 10.0**power, 5 * 10.0**power)
        if span / step <= 5
    )
    first = -(-low // size)
    return [
        round((first + i) * size, 3)
        for i in range(int((high - first * size) / size) + 1)
    ]
