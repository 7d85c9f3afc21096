"""What a run needs to go on after any interruption, and a record that it is done.

A folder beside the outputs, one per run: `state.safetensors` and the one before it,
`done.safetensors` with `done.json` at the end, and a lock that one process holds.
"""

import hashlib
import json
import logging
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from labmill.checkpoint import read_tensors, read_with_metadata, write_tensors
from labmill.errors import LabmillError
from labmill.runtime import atomic_write

log = logging.getLogger("labmill")

# The exit code that asks for the job to be run again (EX_TEMPFAIL).
AGAIN = 75


class Store:
    """The state folder of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.current = folder / "state.safetensors"
        self.previous = folder / "state.previous.safetensors"
        self.weights = folder / "done.safetensors"
        self.record = folder / "done.json"

    @contextmanager
    def lease(self, stop: "Stop") -> Iterator[None]:
        """Hold the run; wait while another process has it."""
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
        try:
            yield
        finally:
            lock.release()

    def save(self, tensors: Mapping[str, Tensor], counters: Mapping[str, Any]) -> None:
        """Write the state; the one before it stays as a fallback."""
        text = json.dumps(counters)
        held = {
            name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()
        }
        fresh = self.folder / "state.next.safetensors"
        write_tensors(held, fresh, {"counters": text, "digest": digest(held, text)})
        if self.current.exists():
            self.current.replace(self.previous)
        fresh.replace(self.current)

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The newest state that is whole, or None."""
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

    def finish(self, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
        """Keep the result, drop the state."""
        write_tensors(tensors, self.weights)
        sealed = {**record, "digest": file_digest(self.weights)}
        with atomic_write(self.record) as file:
            json.dump(sealed, file)
        self.current.unlink(missing_ok=True)
        self.previous.unlink(missing_ok=True)

    def finished(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The result of a run that ended, or None."""
        if not (self.record.exists() and self.weights.exists()):
            return None
        try:
            record = json.loads(self.record.read_text(encoding="utf-8"))
            if record.pop("digest") != file_digest(self.weights):
                raise LabmillError(f"{self.weights}: its digest does not match")
            return read_tensors(self.weights), record
        except (LabmillError, ValueError, KeyError) as error:
            log.warning(
                "the finished run's record is damaged, training again: %s", error
            )
            return None


def digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """SHA-256 over names, types, shapes and bytes of tensors, and a text."""
    total = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(memoryview(tensor.reshape(-1).view(torch.uint8).numpy()))
    return total.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Stop:
    """Notes SIGTERM and SIGUSR1 instead of dying, while it is entered."""

    SIGNALS = (signal.SIGTERM, signal.SIGUSR1)

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> "Stop":
        self.before = {}
        if threading.current_thread() is threading.main_thread():
            self.before = {s: signal.signal(s, self.note) for s in self.SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def note(self, number: int, _: object) -> None:
        log.info("%s: stopping at the next step", signal.Signals(number).name)
        self.requested = True
