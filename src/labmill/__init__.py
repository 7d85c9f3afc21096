"""labmill: a study file in, a finished report out."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from labmill.api.results import StudyResults


def open(folder: "str | Path") -> "StudyResults":
    """Open the finished results of a study, `results/<study>`."""
    # Imported late: nothing else of the package needs pandas here.
    from labmill.api.results import StudyResults

    return StudyResults(folder)
