"""What every test shares: a working directory of its own and the real workflow."""

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
    """A working directory in which the tiny study has been built. Copy, don't change."""
    made = Mill(tmp_path_factory.mktemp("finished"))
    made.write(TINY)
    made.build()
    return made.directory


@pytest.fixture
def finished(finished_tiny: Path, tmp_path: Path) -> Mill:
    """A copy of the finished working directory, with its file times."""
    directory = tmp_path / "work"
    shutil.copytree(finished_tiny, directory, symlinks=True)
    return Mill(directory)
