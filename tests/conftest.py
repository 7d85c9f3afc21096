"""What every test shares: a working directory of its own and the real workflow."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from mill import TINY, Mill


@pytest.fixture
def mill(tmp_path: Path) -> Mill:
    """An empty working directory."""
    return Mill(tmp_path)


@pytest.fixture(scope="session")
def finished_tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in which the tiny study has been built. Copy, don't change.

    Built once, also where several workers run the tests.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    made, ready = shared / "finished", shared / "finished.ready"
    with (shared / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            made.mkdir()
            mill = Mill(made)
            mill.write(TINY)
            mill.build()
            ready.touch()
    return made


@pytest.fixture
def finished(finished_tiny: Path, tmp_path: Path) -> Mill:
    """A copy of the finished working directory, with its file times."""
    directory = tmp_path / "work"
    shutil.copytree(finished_tiny, directory, symlinks=True)
    return Mill(directory)
