"""The view in a terminal: an overall bar, a line per running job, a table of variants."""

import os
import threading

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from labmill.core.progress import duration
from labmill.core.snakemake_internals import Stop
from labmill.watch.board import (
    TRAINING,
    Board,
    Job,
    accuracy_so_far,
    percent,
    seeds_so_far,
    time_left,
)

# Columns of a terminal that shows all; a narrower one leaves some out.
WIDE = 100
EVERY = 1.0  # seconds between two drawings, as between what a job publishes
# Lines of the view that belong to no job and no variant.
AROUND = 8


def screen() -> Console:
    """Return stderr as a console whose size is the terminal's own.

    Rich believes exported COLUMNS and LINES, which do not change with the window.
    """
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    return Console(stderr=True, highlight=False, _environ=environment)


def show(line: str) -> None:
    """Print a line to stderr, broken between words where a terminal is narrow."""
    console = screen()
    console.print(Text(line), soft_wrap=not console.is_terminal)


class Terminal:
    """Redraw the board once a second below the messages."""

    def __init__(self, board: Board, console: Console) -> None:
        self.board, self.console, self.size = board, console, console.size
        self.said: list[str] = []
        self.lock, self.stop = threading.RLock(), threading.Event()
        self.live = self.opened()
        self.thread = threading.Thread(target=self.drawing, daemon=True)
        self.thread.start()

    def opened(self) -> Live:
        """Return the view, started below what the terminal shows."""
        live = Live(
            get_renderable=self.render,
            console=self.console,
            auto_refresh=False,
            transient=True,
            vertical_overflow="crop",
        )
        live.start()
        return live

    def say(self, text: str) -> None:
        """Print a message above the view."""
        with self.lock:
            self.said.append(text)
            self.console.print(Text(text))

    def finished(self, job: Job) -> None:
        """Do nothing: the view counts finished jobs from the board."""

    def close(self) -> None:
        """Take the view away."""
        self.stop.set()
        self.thread.join(EVERY * 4)
        with self.lock:
            self.live.stop()

    def drawing(self) -> None:
        """Draw the view until it is closed."""
        while not self.stop.wait(EVERY):
            with self.lock:
                if self.console.size != self.size:
                    self.resize()
                self.live.refresh()

    def resize(self) -> None:
        """Start with a clear screen: the terminal broke the lines at other places."""
        self.size = self.console.size
        self.live.stop()
        self.console.clear()
        for text in self.said[-self.size.height // 2 :]:
            self.console.print(Text(text))
        self.live = self.opened()  # the old one would erase as many lines as it had

    def render(self) -> RenderableType:
        """Return the whole view, as the board is now."""
        self.board.refresh()
        return view(self.board, self.console.width, self.console.height)


def view(board: Board, width: int, height: int) -> RenderableType:
    """Return the whole view of a board, for a terminal of so many columns and lines."""
    parts: list[RenderableType] = []
    if board.head:
        parts.append(Text(board.head, style="dim", overflow="fold"))
    parts.append(overall(board, width))
    room = max(2, height - AROUND)
    jobs, variants = list(board.running.values()), board.ranked()
    for_variants = min(len(variants), max(room // 2, room - len(jobs)))
    if jobs:
        parts.append(jobs_table(jobs, max(1, room - for_variants), width))
    if variants:
        parts.append(variants_table(variants, max(1, for_variants), width))
    return Group(*parts)


def overall(board: Board, width: int) -> RenderableType:
    """Return the bar of all jobs with the time left."""
    row = Table.grid(padding=(0, 1))
    failed = f", {len(board.failed)} failed" if board.failed else ""
    trainings = ""
    ended = sum(board.ended[rule] for rule in TRAINING)
    ended += sum(job.rule in TRAINING for job in board.kept.values())
    pending = [*board.running.values(), *board.waiting.values()]
    planned = ended + sum(job.rule in TRAINING for job in pending)
    if planned and width >= WIDE:
        trainings = f" ({ended} of {planned} trainings)"
    row.add_row(
        Text(f"{board.done} of {board.total} jobs{trainings}{failed}", style="bold"),
        ProgressBar(
            total=max(1, board.total),
            completed=board.done,
            width=min(30, width // 4),
            # Of the 16 colours that a terminal's theme makes fit its background.
            style="bright_black",
            complete_style="green",
        ),
        Text(rest(board)),
    )
    return row


def rest(board: Board) -> str:
    """Say how long the rest will take, as far as that is known."""
    if Stop.requested:
        return "stopping: trainings save their state"
    if board.idle:
        return "nothing runs"
    return time_left(board.seconds_left())


def jobs_table(jobs: list[Job], most: int, width: int) -> RenderableType:
    """Return one line per running job; only names are cut where space is short."""
    heads = ["running", "epoch", "train loss", "validation", "images/s", "time"]
    shown = jobs if len(jobs) <= most else jobs[: most - 1]
    rows = [job_cells(job) for job in shown]
    if width < WIDE:
        heads, rows = without(heads, 4), [without(row, 4) for row in rows]
    table = columns(heads, rows, width)
    if len(jobs) > len(shown):
        table.add_row(Text(f"and {len(jobs) - len(shown)} more", style="dim"))
    return table


def without(cells: list[str], position: int) -> list[str]:
    """Return a row without one of its cells."""
    return cells[:position] + cells[position + 1 :]


def columns(heads: list[str], rows: list[list[str]], width: int) -> Table:
    """Return a table of a name and numbers; the names are cut in their middle."""
    table = Table(box=None, padding=(0, 1), show_edge=False)
    numbers = [
        max(cell_len(row[i]) for row in [heads, *rows]) for i in range(1, len(heads))
    ]
    room = max(8, width - sum(numbers) - 2 * len(heads))
    table.add_column(heads[0], no_wrap=True, header_style="dim")
    for head, needed in zip(heads[1:], numbers, strict=True):
        table.add_column(
            head, justify="right", no_wrap=True, min_width=needed, header_style="dim"
        )
    for name, *cells in rows:
        table.add_row(middle_cut(name, room), *cells)
    return table


def middle_cut(text: str, width: int) -> str:
    """Return a text of at most so many columns; its start and end remain.

    >>> middle_cut("train a_long_name seed 0", 16)
    'train a…e seed 0'
    """
    if cell_len(text) <= width:
        return text
    end = width // 2
    return f"{text[: width - 1 - end]}…{text[len(text) - end :]}"


def job_cells(job: Job) -> list[str]:
    """Return the cells of one running job."""
    at, passed = job.state, f"for {duration(job.seconds)}"
    if at is None or not at.epochs:
        reached = percent(at.validation_accuracy) if at else ""
        return [job.line, "", "", reached, "", passed]
    return [
        job.title,
        f"{at.epoch or 0:.0f}/{at.epochs}",
        "" if at.loss is None else f"{at.loss:.3f}",
        percent(at.validation_accuracy),
        "" if at.images_per_second is None else f"{at.images_per_second:,.0f}",
        passed if at.seconds_left is None else f"{duration(at.seconds_left)} left",
    ]


def variants_table(
    variants: list[tuple[str, int, int, float]], most: int, width: int
) -> RenderableType:
    """Return the validation accuracy of what is trained, as `Board.ranked` orders it."""
    rows = []
    for name, finished, seeds, reached in variants[:most]:
        accuracy = accuracy_so_far(finished, reached)
        rows.append([name, seeds_so_far(finished, seeds), accuracy])
    table = columns(
        ["variant (finished first)", "seeds", "mean validation accuracy"], rows, width
    )
    if len(variants) > most:
        table.add_row(Text(f"and {len(variants) - most} more", style="dim"))
    return table
