"""The view without a terminal: one line per training that ended, one a minute otherwise."""

import time
from collections.abc import Callable

from labmill.core.progress import duration
from labmill.plan.plan import TRAINED
from labmill.watch.board import Board, Job, percent, result, time_left

EVERY = 60.0  # seconds between two lines when nothing ends


class Lines:
    """Write plain lines; call `tick` now and then."""

    def __init__(self, board: Board, write: Callable[[str], None]) -> None:
        self.board, self.write = board, write
        self.last = time.monotonic()

    def say(self, text: str) -> None:
        """Write one line with the time."""
        self.last = time.monotonic()
        self.write(f"{time.strftime('%H:%M:%S')} {text}")

    def finished(self, job: Job) -> None:
        """Write what ended, what it found, how far the whole is.

        Evaluations and measurements of a run, which are many and short, only count.
        """
        if "seed" in job.wildcards and job.rule not in TRAINED:
            return
        board = self.board
        board.refresh()
        found = f": {result(job, board)}" if result(job, board) else ""
        left = f", {time_left(board.seconds_left())}"
        rest = left if board.done < board.total else ""
        self.say(
            f"[{board.done}/{board.total}] {job.title}{found}, "
            f"{duration(job.seconds)}{rest}"
        )

    def tick(self) -> None:
        """Once a minute, write what runs."""
        if time.monotonic() - self.last >= EVERY and self.board.running:
            self.board.refresh()
            titles = ", ".join(map(describe, self.board.running.values()))
            left = time_left(self.board.seconds_left())
            self.say(f"[{self.board.done}/{self.board.total}] {titles}; {left}")

    def close(self) -> None:
        """Do nothing: lines need no cleaning up."""


def describe(job: Job) -> str:
    """Say a running job with its progress: `train cnn seed 1 (epoch 3/10, 91.2 %)`."""
    at, parts = job.state, []
    if at and at.epochs:
        parts.append(f"epoch {at.epoch or 0:.0f}/{at.epochs}")
    if at and at.validation_accuracy is not None:
        parts.append(percent(at.validation_accuracy))
    return f"{job.line} ({', '.join(parts)})" if parts else job.line
