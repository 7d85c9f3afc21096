"""CSV files as lists of rows: the one reader and the one writer."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from labmill.core.errors import LabmillError
from labmill.core.files import atomic_write


def write_table(
    path: str | Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Write rows as CSV, atomically; numbers in full, None as an empty cell."""
    with atomic_write(path) as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_table(path: str | Path, delimiter: str = ",") -> list[dict[str, Any]]:
    """Read a CSV file's rows: numbers as int or float, empty cells as None."""
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            names = reader.fieldnames or ()
            if len({*names}) < len(names):
                raise LabmillError(f"{path}: damaged, a column is there twice")
            return [
                {name: number(text) for name, text in row.items()} for row in reader
            ]
    except (csv.Error, TypeError, ValueError) as error:
        raise LabmillError(f"{path}: damaged, no table: {error}") from None


def number(text: str | None) -> Any:
    """Return a cell's value: int, float, text, or None where it is empty."""
    for kind in (int, float):
        try:
            return kind(text or "")
        except ValueError:
            continue
    return text or None
