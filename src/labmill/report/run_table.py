"""The rows of runs.csv."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labmill.report.runs import Run

IDENTITY = ("variant", "label", "kind", "seed", "stage", "status", "reason", "model")


def differing(rows: "Iterable[Run]") -> list[str]:
    """Return the settings that are not the same in all rows that have settings."""
    known = [row.settings for row in rows if row.settings]
    keys = dict.fromkeys(key for settings in known for key in settings)
    return [
        key
        for key in keys
        if len({json.dumps(settings.get(key)) for settings in known}) > 1
    ]


def as_table(rows: "Iterable[Run]") -> list[dict[str, Any]]:
    """Return the rows of runs.csv: identity, settings that differ, figures; None where empty."""
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
