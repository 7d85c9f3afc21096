"""What cannot be made of the results says why in its place; the rest is there."""

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from labmill.core.errors import LabmillError
from labmill.core.logs import log
from labmill.core.project import UntrustedCodeError, own_fault
from labmill.report.text import Markdown, escape

T = TypeVar("T")


class Unmade(Markdown):
    """A note in the place of a figure, table or section; as a list, it is one note."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return iter((self,))


def attempt(what: str, make: Callable[[], T], *, own: str = "") -> T | Unmade:
    """Return what `make` returns, or a note where it fails.

    `own`: the file, if it is the user's own code: its mistakes do not stop the report.

    Raises:
        LabmillError: another mistake that the user can correct.
    """
    try:
        return make()
    except UntrustedCodeError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, LabmillError | SystemExit) and not own:
            raise
        return Unmade(f"*{escape(reason(what, error, own=own))}*")


def reason(what: str, error: BaseException, *, own: str = "") -> str:
    """Return and log why something cannot be made, with the line that failed."""
    start = f"{what} cannot be made of these results"
    if own:
        fault = own_fault(error) or f"{error}"
        fault = fault if fault.startswith(own) else f"{own}: {fault}"
        sentence = f"{start}: {fault}."
        log.warning("%s", sentence)
        return sentence
    frame = traceback.extract_tb(error.__traceback__)[-1]
    sentence = (
        f"{start}: {type(error).__name__}: {error} "
        f"({Path(frame.filename).name}, line {frame.lineno})."
    )
    log.warning("%s Please report this fault of labmill.", sentence)
    return sentence
