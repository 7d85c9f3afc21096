"""Data of the prediction explorer."""

from typing import Any

from labmill.report.results import Results


def explorer(results: Results) -> dict[str, Any] | None:
    return None
