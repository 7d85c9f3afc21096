"""Jobs end with one message; a disk that is full is one of them."""

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.workflow_run import Mill
from labmill.core.errors import LabmillError
from labmill.core.files import atomic_write
from labmill.core.lock import ControllerLocks
from labmill.core.logs import logged
from labmill.core.paths import MAIN_PROCESS
from labmill.data.arrays import append
from labmill.workflow.controller import JOBS_FAILED


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
        ControllerLocks().remove_stale: {"open", "write"},
    }
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, call, refuse)
    for write, calls in writers.items():
        if call in calls:
            with pytest.raises(LabmillError, match=re.escape(os.strerror(number))):
                write()
    monkeypatch.undo()
    assert not list(tmp_path.rglob("*.part"))


def test_a_line_that_does_not_fit_on_the_disk_is_a_mistake():
    with pytest.raises(LabmillError, match=os.strerror(errno.ENOSPC)):
        append(Path("/dev/full"), "text")


def test_a_retry_of_a_mistake_ends_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    MAIN_PROCESS.parent.mkdir()
    log, begun = Path("logs/job.log"), []

    def attempt(error: Exception) -> None:
        with pytest.raises(SystemExit), logged(log):
            begun.append(error)
            raise error

    MAIN_PROCESS.touch()
    attempt(ValueError("a bug, or a machine's bad moment"))
    attempt(LabmillError("a mistake"))
    attempt(LabmillError("a mistake"))
    assert len(begun) == 2 and "Error: a mistake" in log.read_text()
    os.utime(MAIN_PROCESS, (log.stat().st_mtime + 1,) * 2)  # the user's next try
    attempt(LabmillError("a mistake"))
    assert len(begun) == 3


def test_a_mistake_in_a_job_is_printed_once(mill: Mill):
    for label in ("left", "right"):
        (mill.directory / "pictures" / label).mkdir(parents=True)
        for number in range(10):
            file = mill.directory / "pictures" / label / f"{number}.png"
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(file)
    file.write_bytes(b"no picture")
    data = {"dataset": "image_folder", "arguments": {"path": "pictures"}}
    mill.write({"title": "x", "data": data, "variants": {"a": {}}}, "broken")
    done = mill.run("results/broken/split.npz")
    assert done.returncode == JOBS_FAILED
    message = "right/9.png: cannot be read as an image: it is neither PNG nor JPEG"
    assert done.stdout.count(message) == 1, done.stdout
    data["arguments"]["path"] = "photos"
    mill.write({"title": "x", "data": data, "variants": {"a": {}}}, "broken")
    done = mill.run("results/broken/split.npz")
    assert "broken.yaml:5: data.arguments.path: " in done.stdout, done.stdout
    assert "Traceback" not in done.stdout
