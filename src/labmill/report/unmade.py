"""What cannot be made of the results says why in its place; the rest is there."""

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from labmill.core.errors import LabmillError
from labmill.core.logs import log
from labmill.report.text import Markdown, escape

T = TypeVar("T")


class Unmade(Markdown):
    """A note in the place of a figure, table or section; as a list, it is one note."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return iter((self,))


def attempt(what: str, make: Callable[[], T]) -> T | Unmade:
    """Return what `make` returns, or a note where it fails.

    Raises:
        LabmillError: a mistake that the user can correct.
    """
    try:
        return make()
    except LabmillError:
        raise
    except Exception as error:
        return Unmade(f"*{escape(reason(what, error))}*")


def reason(what: str, error: Exception) -> str:
    """Return and log why something cannot be made, with the line that failed."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    sentence = (
        f"{what} cannot be made of these results: {type(error).__name__}: {error} "
        f"({Path(frame.filename).name}, line {frame.lineno})."
    )
    log.warning("%s Please report this fault of labmill.", sentence)
    return sentence
