"""Fixtures of the data tests."""

from collections.abc import Iterator

import pytest

from helpers.faulty_server import Site, serving
from labmill.download.transfer import Patience


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
def patience() -> Patience:
    return Patience(attempts=3, backoff_s=0.01, connect_s=2, read_s=0.3, log_every_s=0)


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The user's mirror takes no part, except where a test asks for it."""
    if "mirror" not in request.fixturenames:
        monkeypatch.delenv("LABMILL_MIRROR", raising=False)
