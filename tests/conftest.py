"""What every test shares: working directories, the real workflow, synthetic results."""

import fcntl
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from helpers.finish_report import finish
from helpers.synthetic_results import make_results
from helpers.workflow_run import TINY, Mill


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


@pytest.fixture(scope="session")
def synthetic(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, dict[str, Any], list[dict[str, Any]]]:
    """A folder with three seeds of everything, its job and index. Copy, don't change."""
    root = tmp_path_factory.mktemp("synthetic")
    return (root, *make_results(root, search=True))


@pytest.fixture(scope="session")
def finished_once(
    synthetic: tuple[Path, dict[str, Any], list[dict[str, Any]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A working directory with a finished synthetic report. Copy, don't change."""
    source, job, index = synthetic
    root = tmp_path_factory.mktemp("finished") / "work"
    shutil.copytree(source, root)
    finish(root, job, index)
    return root


@pytest.fixture
def results(finished_once: Path, tmp_path: Path) -> Path:
    """The results folder of a copy that a test may change."""
    shutil.copytree(finished_once, tmp_path / "work")
    return tmp_path / "work" / "results" / "synthetic"
