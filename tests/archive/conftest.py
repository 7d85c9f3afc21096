"""Archives of the synthetic study, and of one that was really trained."""

from pathlib import Path

import pytest

from helpers.trained_study import build
from labmill.archive.archive import write_archive


@pytest.fixture(scope="session")
def packed(finished_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of the synthetic study."""
    out = tmp_path_factory.mktemp("archive") / "synthetic.zip"
    write_archive(finished_once / "results/synthetic", out)
    return out


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a study that was really trained. Copy, don't change."""
    root = tmp_path_factory.mktemp("trained") / "work"
    build(root)
    return root


@pytest.fixture(scope="session")
def real(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of that study."""
    out = tmp_path_factory.mktemp("real") / "tiny.zip"
    write_archive(trained / "results/tiny", out)
    return out
