"""Jobs end with one message; a disk that is full is one of them."""

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labmill.data.arrays import append
from labmill.errors import LabmillError
from labmill.head import JOBS_FAILED
from labmill.lock import heal_stale_lock
from labmill.runtime import HEAD, atomic_write, logged
from mill import Mill


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("call", ["fsync", "open", "write"])
def test_a_full_disk_is_named_and_leaves_no_half_file(
    number: int, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*arguments: object, **named: object) -> None:
        raise OSError(number, os.strerror(number))

    def whole() -> None:
        with atomic_write(tmp_path / "file") as file:
            file.write("text")

    writers: dict[Callable[[], object], set[str]] = {
        whole: {"fsync", "open"},
        lambda: append(tmp_path / "file", "text"): {"open", "write"},
        heal_stale_lock: {"open", "write"},
    }
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, call, refuse)
    for write, calls in writers.items():
        if call in calls:
            with pytest.raises(LabmillError, match=re.escape(os.strerror(number))):
                write()
    monkeypatch.undo()
    assert not list(tmp_path.rglob("*.part"))


def test_a_retry_of_a_mistake_ends_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    HEAD.parent.mkdir()
    log, begun = Path("logs/job.log"), []

    def attempt(error: Exception) -> None:
        with pytest.raises(SystemExit), logged(log):
            begun.append(error)
            raise error

    HEAD.touch()
    attempt(ValueError("a bug, or a machine's bad moment"))
    attempt(LabmillError("a mistake"))
    attempt(LabmillError("a mistake"))
    assert len(begun) == 2 and "Error: a mistake" in log.read_text()
    os.utime(HEAD, (log.stat().st_mtime + 1,) * 2)  # the user's next try
    attempt(LabmillError("a mistake"))
    assert len(begun) == 3


def test_a_mistake_in_a_job_is_printed_once(mill: Mill):
    for label in ("left", "right"):
        (mill.directory / "pictures" / label).mkdir(parents=True)
        file = mill.directory / "pictures" / label / "1.png"
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(file)
    file.write_bytes(b"no picture")
    data = {"dataset": "image_folder", "arguments": {"path": "pictures"}}
    mill.write({"title": "x", "data": data, "variants": {"a": {}}}, "broken")
    done = mill.run("results/broken/split.npz")
    assert done.returncode == JOBS_FAILED
    message = "right/1.png: cannot be read as an image: it is neither PNG nor JPEG"
    assert done.stdout.count(message) == 1, done.stdout
    data["arguments"]["path"] = "photos"
    mill.write({"title": "x", "data": data, "variants": {"a": {}}}, "broken")
    done = mill.run("results/broken/split.npz")
    assert "broken.yaml:5: data.arguments.path: " in done.stdout, done.stdout
    assert "Traceback" not in done.stdout
