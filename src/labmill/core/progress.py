"""The state of a running job in a small file next to its log, for whoever watches.

A job publishes as often as it likes; the file is replaced at most once a second. It
says all that a view shows of a job, so that watching takes one read per job.
"""

import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from labmill.core.errors import LabmillError
from labmill.core.processes import lives
from labmill.core.records import Record

EVERY = 1.0  # seconds between two writes
# A training on another machine that publishes nothing for so long is taken for dead.
SILENT = 180.0
POINTS = 128  # of a published curve, at most

# Epoch, training loss, validation accuracy.
Point = tuple[int, float | None, float | None]


class JobState(Record):
    """What a job published last.

    Attributes:
        began, updated, ended: seconds since the epoch.
    """

    began: float
    updated: float
    host: str
    pid: int
    ended: float | None = None
    error: str | None = None  # why the job failed
    doing: str | None = None  # what it does now, in words
    epoch: float | None = None  # finished epochs, with the part of the present one
    epochs: int | None = None
    done: float | None = None  # the finished share of the work, 0..1
    loss: float | None = None
    train_accuracy: float | None = None
    validation_accuracy: float | None = None
    images_per_second: float | None = None
    seconds_left: float | None = None
    curve: tuple[Point, ...] = ()  # points of the finished epochs, thinned

    @property
    def seconds(self) -> float:
        """How long the job ran, as far as is known of one that was killed."""
        return (self.ended or self.updated) - self.began

    def runs(self) -> bool:
        """Return True if the job seems to run; False if it has ended or was killed."""
        if self.ended is not None:
            return False
        if self.host == socket.gethostname():
            return lives(self.pid, self.began)
        return self.epoch is None or time.time() - self.updated < SILENT


_path: Path | None = None
_state: JobState | None = None
_written = 0.0


def state_file(log: str | Path) -> Path:
    """Return the state file of the job with this log."""
    return Path(log).with_suffix(".state.json")


def earlier_file(log: str | Path) -> Path:
    """Return the file with the last state of each earlier start of a job, a line each."""
    return Path(log).with_suffix(".earlier.jsonl")


def open_state(log: str | Path) -> None:
    """Publish from now on next to this log; called once when a job starts."""
    global _path, _state
    now = time.time()
    _path = state_file(log)
    if (last := read_state(log)) is not None:
        line = last.model_copy(update={"curve": ()}).model_dump_json(
            exclude_defaults=True
        )
        with suppress(OSError), earlier_file(log).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
    for left in _path.parent.glob(f"{_path.stem}.*.part"):  # by a killed attempt
        left.unlink(missing_ok=True)
    _state = JobState(
        began=now, updated=now, host=socket.gethostname(), pid=os.getpid()
    )
    _write()


def publish(**values: Any) -> None:
    """Replace fields of the state, for example `epoch=3.5, epochs=10, loss=0.2`."""
    global _state
    if _state is None:
        return
    _state = _state.model_copy(update=values | {"updated": time.time()})
    if time.monotonic() - _written >= EVERY:
        _write()


def close_state(error: str | None = None) -> None:
    """Publish the end of the job."""
    global _state
    publish(ended=time.time(), error=error)
    _write()
    _state = None


def _write() -> None:
    global _written
    if _path is None or _state is None:
        return
    _written = time.monotonic()
    temporary = _path.with_suffix(f".{os.getpid()}.part")
    try:
        temporary.write_text(_state.model_dump_json(exclude_defaults=True))
        temporary.replace(_path)
    except OSError:
        temporary.unlink(missing_ok=True)  # nobody can watch; the job continues


def thinned(points: Iterable[Point]) -> tuple[Point, ...]:
    """Return every 2ⁿth point and the last one, so that they are few.

    The epochs of a shorter run of the same variant are then among them. Epochs without
    validation are left out where others have one.
    """
    known = list(points)
    known = [point for point in known if point[2] is not None] or known
    every = 1
    while len(known) > POINTS * every:
        every *= 2
    return tuple(known[every - 1 :: every] + known[len(known) // every * every :][-1:])


def read_state(log: str | Path) -> JobState | None:
    """Return what the job with this log published last; None if nothing readable."""
    try:
        return JobState.read(state_file(log))
    except LabmillError:
        return None


def duration(seconds: float) -> str:
    """Say a duration: `18 s`, `4 min`, `2 h 05 min`.

    >>> duration(7500)
    '2 h 05 min'
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def starts(study_path: str, logs: Path) -> Iterator[JobState]:
    """Yield the last state of every start of a study's jobs, repeated and failed ones too."""
    for path in sorted(logs.glob(f"*/{study_path}.*state.json")):
        log = path.with_name(path.name.removesuffix(".state.json") + ".log")
        if (last := read_state(log)) is not None:
            yield last
        if (earlier := earlier_file(log)).is_file():
            for line in earlier.read_text(encoding="utf-8").splitlines():
                with suppress(ValidationError):  # a line that a full disk cut
                    yield JobState.model_validate_json(line)
