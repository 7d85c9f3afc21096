"""Synthetic results for every test of the report."""

from pathlib import Path
from typing import Any

import pytest
from synthetic import make_results


@pytest.fixture(scope="session")
def synthetic(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, dict[str, Any], list[dict[str, Any]]]:
    """A folder with three seeds of everything, its job and index. Copy, don't change."""
    root = tmp_path_factory.mktemp("synthetic")
    return (root, *make_results(root, search=True))
