"""A real file system that is full: one message; with space again the same bytes.

Needs root, which may mount one.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helpers.workflow_run import TINY, Mill

SAME = ("model.safetensors", "predictions.npz", "split.npz", "test.npz")


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """Mount a file system in memory; skip the test where that is not allowed."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount a small file system: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def shown(mill: Mill, **variables: str) -> tuple[int, str]:
    """Build the study as a user does; return the status and what is on the screen."""
    environment = mill.environment() | variables
    environment.pop("VERBOSE")
    done = subprocess.run(
        mill.command("results/tiny/report.html"),
        cwd=mill.directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
    )
    return done.returncode, done.stdout


def make_room(folder: Path) -> None:
    """Give a file system as much space as a study needs."""
    options = "remount,size=100m,nr_inodes=10k"
    subprocess.run(["mount", "-o", options, str(folder)], check=True)


FULL_AT_THE_START = ["size=400k", "size=50m,nr_inodes=12"]
FULL_WHILE_JOBS_RUN = ["size=1000k", "size=50m,nr_inodes=80"]
# Minutes on a loaded machine: two of these for `make testslow` only.
MORE = ["size=1100k", "size=50m,nr_inodes=70"] * bool(os.environ.get("LABMILL_DISKS"))


@pytest.mark.parametrize("options", FULL_AT_THE_START + FULL_WHILE_JOBS_RUN + MORE)
def test_a_full_disk(tmp_path: Path, finished_tiny: Path, options: str):
    with mounted(tmp_path / "small", options) as folder:
        mill = Mill(folder)
        mill.write(TINY)
        status, text = shown(mill)
        assert status != 0
        assert "No space left on device" in text, text
        assert (
            "Traceback" not in text
            and '  File "' not in text
            and len(text.splitlines()) < 40
        ), text
        assert not [*folder.rglob("*.part")]
        make_room(folder)
        status, text = shown(mill)
        assert status == 0, text
        for name in SAME:
            paths = sorted(finished_tiny.glob(f"results/**/{name}"))
            assert paths
            for path in paths:
                ours = folder / path.relative_to(finished_tiny)
                assert ours.read_bytes() == path.read_bytes(), ours


def test_a_full_temporary_folder_is_named(mill: Mill, tmp_path: Path):
    mill.write(TINY)
    with mounted(tmp_path / "temporary", "size=64k") as folder:
        (folder / "full").write_bytes(bytes(60_000))
        status, text = shown(mill, TMPDIR=str(folder))
    assert status == 0 or (str(folder) in text and "Traceback" not in text), text
