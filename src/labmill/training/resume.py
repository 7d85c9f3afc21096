"""Saved states of runs: resume after any interruption, keep the result at the end.

One folder per run: `state.safetensors` and the state before it, `done.safetensors` with
`done.json` at the end, and a lock that one process holds.
"""

import hashlib
import json
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Self

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from labmill.core.errors import LabmillError
from labmill.core.files import NO_LOCKS, file_digest, writing
from labmill.core.logs import log
from labmill.core.trees import JsonObject, Settings
from labmill.training.checkpoint import (
    read_tensors,
    read_with_metadata,
    share,
    write_tensors,
)
from labmill.training.records import FinishedRun
from labmill.training.run_state import Outcome

# The exit code that asks for the job to be run again (EX_TEMPFAIL).
AGAIN = 75


class Store:
    """The state folder of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.current = folder / "state.safetensors"
        self.previous = folder / "state.previous.safetensors"
        self.paused = folder / "paused.safetensors"
        self.weights = folder / "done.safetensors"
        self.record = folder / "done.json"

    @contextmanager
    def lease(self, stop: "Stop") -> Iterator[None]:
        """Lock the run; wait while another process trains it."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "lock")
        waiting = False
        while True:
            try:
                lock.acquire(timeout=0.5)
                break
            except Timeout:
                if stop.requested:
                    raise SystemExit(AGAIN) from None
                if not waiting:
                    log.info("another process trains this run: waiting for it")
                waiting = True
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                # The controllers' own locks and their warning are in core/lock.py.
                break
        try:
            yield
        finally:
            lock.release()

    def save(self, tensors: Mapping[str, Tensor], counters: JsonObject) -> None:
        """Write the state; the previous one stays as a fallback."""
        text = json.dumps(counters)
        on_cpu = {
            name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()
        }
        fresh = self.folder / "state.next.safetensors"
        write_tensors(on_cpu, fresh, {"counters": text, "digest": digest(on_cpu, text)})
        if self.current.exists():
            self.current.replace(self.previous)
        fresh.replace(self.current)

    def begin_from(self, paused: Path) -> None:
        """Take the state of a paused run, unless this one has a state already."""
        if not self.current.exists():
            share(paused, self.current)

    def load(self) -> tuple[dict[str, Tensor], Settings] | None:
        """Return the newest undamaged state, or None."""
        for path in (self.current, self.previous):
            if not path.exists():
                continue
            try:
                tensors, metadata = read_with_metadata(path)
                text = metadata.get("counters", "")
                if metadata.get("digest") != digest(tensors, text):
                    raise LabmillError(f"{path}: its digest does not match")
            except LabmillError as error:
                log.warning(
                    "state is damaged, falling back to the one before: %s", error
                )
                continue
            return tensors, json.loads(text)
        return None

    def finish(self, tensors: Mapping[str, Tensor], outcome: Outcome) -> None:
        """Save the result and delete the state."""
        write_tensors(tensors, self.weights)
        FinishedRun(
            status=outcome.status,
            history=outcome.history,
            batches=outcome.batches,
            facts=outcome.facts,
            digest=file_digest(self.weights),
        ).write(self.record)
        self.current.unlink(missing_ok=True)
        self.previous.unlink(missing_ok=True)

    def finished(self) -> tuple[dict[str, Tensor], Outcome] | None:
        """Return weights and outcome of a finished run, or None."""
        if not (self.record.exists() and self.weights.exists()):
            return None
        try:
            done = FinishedRun.read(self.record)
            if done.digest != file_digest(self.weights):
                raise LabmillError(f"{self.weights}: its digest does not match")
            weights = read_tensors(self.weights)
        except LabmillError as error:
            log.warning(
                "the finished run's record is damaged, training again: %s", error
            )
            return None
        outcome = Outcome(
            done.status,
            done.history,
            done.batches,
            done.facts,
            self.weights,
            self.paused,
        )
        return weights, outcome


def digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """Return the SHA-256 of tensors (names, types, shapes, bytes) and a text."""
    total = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


class Stop:
    """Notes SIGTERM and SIGUSR1 instead of dying, while it is entered."""

    SIGNALS = (signal.SIGTERM, signal.SIGUSR1)

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Self:
        self.before = {}
        if threading.current_thread() is threading.main_thread():
            self.before = {s: signal.signal(s, self.note) for s in self.SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def note(self, number: int, _: FrameType | None) -> None:
        log.info("%s: stopping at the next step", signal.Signals(number).name)
        self.requested = True
