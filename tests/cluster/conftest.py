"""One cluster per test file."""

from collections.abc import Iterator

import pytest

from helpers.slurm_cluster import Cluster, unavailable
from helpers.slurm_controllers import STARTED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test that uses a cluster has the marker, and more time."""
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker("slurm")
            item.add_marker(pytest.mark.timeout(3600))


@pytest.fixture(scope="module")
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A running cluster; with accounting if the module says ACCOUNTING = True."""
    accounting = getattr(request.module, "ACCOUNTING", False)
    if reason := unavailable(accounting):
        pytest.skip(f"no SLURM: {reason}")
    with Cluster(tmp_path_factory.mktemp("cluster"), accounting) as made:
        yield made
        # A test that failed may leave heads behind.
        for head in STARTED:
            head.kill()
