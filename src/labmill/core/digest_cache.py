"""Digests of what was checked before and found good, in the user's cache."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from labmill.core.errors import LabmillError
from labmill.core.files import write_json

# The oldest are forgotten.
MOST = 20_000


def cache_file(name: str) -> Path:
    """Return a JSON file in the user's cache, by its name."""
    folder = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(folder, "labmill", f"{name}.json")


class Remembered:
    """A list of digests in a file; empty where the file cannot be read.

    Args:
        name: of the file.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.digests: dict[str, None] = {}
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            self.digests = dict.fromkeys(found if isinstance(found, list) else [])
        except (OSError, RuntimeError, TypeError, ValueError):
            pass

    @property
    def path(self) -> Path:
        """The file, in the user's cache."""
        return cache_file(self.name)

    def __contains__(self, digest: str) -> bool:
        return digest in self.digests

    def add(self, digests: Iterable[str]) -> None:
        """Remember digests, where the cache can be written."""
        self.digests |= dict.fromkeys(digests)
        with suppress(LabmillError, OSError, RuntimeError):
            write_json(self.path, list(self.digests)[-MOST:])
