"""Synthetic results for every test of the report."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from document import built
from finish import finish
from synthetic import make_results

OWN = """The CNN got {{ result("cnn", "test_accuracy") }} of the images [@lecun].

# A heading of mine

Mathematics: $a^2 + \\frac{b}{c}$ and *emphasis*.
"""
REFERENCES = """@article{lecun, author={LeCun, Yann}, title={Gradient-based learning},
journal={Proceedings of the IEEE}, year={1998}}"""


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


@pytest.fixture(scope="session")
def report_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole report: search, pruning, a diverged run, own words, references."""
    report = {
        "text": {"observations": OWN, "discussion": "What I think of it."},
        "references": REFERENCES,
    }
    return built(
        tmp_path_factory.mktemp("report"),
        search=True,
        diverged=True,
        changes={"report": report},
    )
