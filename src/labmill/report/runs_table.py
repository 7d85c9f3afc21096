"""runs.csv and other tables of numbers: rows in and out of CSV files."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labmill.runtime import atomic_write

if TYPE_CHECKING:
    from labmill.report.read import Row

IDENTITY = ("variant", "label", "kind", "seed", "stage", "status", "reason", "model")


def differing(rows: "Iterable[Row]") -> list[str]:
    """The settings that are not the same in all rows that have settings."""
    known = [row.settings for row in rows if row.settings]
    keys = dict.fromkeys(key for settings in known for key in settings)
    return [
        key
        for key in keys
        if len({json.dumps(settings.get(key)) for settings in known}) > 1
    ]


def as_table(rows: "Iterable[Row]") -> list[dict[str, Any]]:
    """The rows of runs.csv: identity, settings that differ, figures; None where empty."""
    rows = list(rows)
    varied = differing(row for row in rows if row.cells["stage"] == "dense")
    figures = dict.fromkeys(
        name for row in rows for name in row.cells if name not in IDENTITY
    )
    table = []
    for row in rows:
        settings = {key: row.settings.get(key) for key in varied}
        settings = {
            key: json.dumps(value) if isinstance(value, list | dict) else value
            for key, value in settings.items()
        }
        cells = {name: row.cells.get(name) for name in (*IDENTITY, *figures)}
        table.append({**{k: cells.pop(k) for k in IDENTITY}, **settings, **cells})
    return table


def write_table(path: Path, table: list[dict[str, Any]]) -> None:
    """Write rows as CSV, atomically; numbers in full, None as an empty cell."""
    with atomic_write(path) as file:
        writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


def read_table(path: Path) -> list[dict[str, Any]]:
    """A CSV file's rows: numbers as int or float, empty cells as None."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        return [
            {name: number(text) for name, text in row.items()}
            for row in csv.DictReader(file)
        ]


def number(text: str) -> Any:
    """A cell's value: int, float, text, or None where it is empty."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text or None
