"""What a report says against what was recomputed: cell by cell, word by word."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labmill.report.recompute import Written, claims, rows, written_parts
from labmill.report.runs_table import number, read_table
from labmill.report.summarize import Summary
from labmill.runtime import finite, read_json

# Two machines may add the same numbers in another order.
TOLERANCE = 1e-9


def table_mismatches(path: Path, table: Sequence[Mapping[str, Any]]) -> list[str]:
    """runs.csv cell by cell."""
    anew = [
        {key: number("" if v is None else str(v)) for key, v in row.items()}
        for row in table
    ]
    stored = read_table(path)
    if len(stored) != len(anew):
        return [f"runs.csv: {len(stored)} rows, recomputed: {len(anew)}"]
    return [
        mismatch
        for old, new in zip(stored, anew, strict=True)
        for mismatch in differences(
            old, new, "runs.csv: {variant} seed {seed} {stage}".format(**new)
        )
    ]


def claim_mismatches(path: Path, claims: Sequence[Mapping[str, Any]]) -> list[str]:
    """claims.json, claim by claim."""
    stored = {claim["id"]: claim for claim in read_json(path)}
    anew = {claim["id"]: finite(claim) for claim in claims}
    found = [
        f"claims.json: {id}: nothing supports this claim" for id in stored.keys() - anew
    ]
    found += [f"claims.json: {id}: is missing" for id in anew.keys() - stored]
    for id in anew.keys() & stored.keys():
        found += differences(stored[id], anew[id], f"claims.json: {id}")
    return sorted(found)


def report_mismatches(results: Path, made: Summary) -> list[str]:
    """report.md: statements word by word, tables row by row, the author's numbers."""
    text = (results / "report.md").read_text(encoding="utf-8")
    parts = written_parts(results, made)
    found = []
    for part in parts:
        body = section_of(text, part.name)
        if body is None:
            found.append(f"report.md: the section {part.name} is missing")
            continue
        found += row_mismatches(part, body)
        if part.words and part.words not in body:
            found.append(
                f"report.md, {part.name}: the author's words or numbers differ"
            )
        stated = claims(body)
        found += [
            f"report.md, {part.name}: no claim says so: {line}"
            for line in stated
            if line not in part.claims
        ]
        found += [
            f"report.md, {part.name}: not found: {line}"
            for line in part.claims
            if line not in stated
        ]
    return found


def section_of(text: str, name: str) -> str | None:
    """A section's text by its anchor, up to the next section."""
    anchor = f"{{#section-{name.replace('_', '-')}}}"
    _, known, rest = text.partition(anchor)
    return rest.partition("\n## ")[0] if known else None


def row_mismatches(part: Written, body: str) -> list[str]:
    """The rows of a section's tables, in order."""
    stored = rows(body)
    if len(stored) != len(part.rows):
        return [
            f"report.md, {part.name}: {len(stored)} rows of tables, "
            f"recomputed: {len(part.rows)}"
        ]
    return [
        f"report.md, {part.name}: a table says {old!r}, recomputed: {new!r} (row {row})"
        for line, anew in zip(stored, part.rows, strict=True)
        if line != anew
        for row in [line.strip("| ").split(" | ")[0]]
        for old, new in unequal_cells(line, anew)
    ]


def unequal_cells(line: str, anew: str) -> list[tuple[str, str]]:
    """The cells in which two rows differ; the whole rows where their number does."""
    old, new = line.strip("| ").split(" | "), anew.strip("| ").split(" | ")
    if len(old) != len(new):
        return [(line, anew)]
    return [(a, b) for a, b in zip(old, new, strict=True) if a != b]


def differences(stored: Any, anew: Any, where: str) -> list[str]:
    """Where two JSON values differ, by path; numbers but for rounding."""
    if isinstance(stored, Mapping) and isinstance(anew, Mapping):
        keys = dict.fromkeys([*anew, *stored])
        return [
            mismatch
            for key in keys
            for mismatch in differences(
                stored.get(key), anew.get(key), f"{where}.{key}"
            )
        ]
    if isinstance(stored, list | tuple) and isinstance(anew, list | tuple):
        if len(stored) == len(anew):
            return [
                mismatch
                for at, (old, new) in enumerate(zip(stored, anew, strict=True))
                for mismatch in differences(old, new, f"{where}.{at}")
            ]
    elif equal(stored, anew):
        return []
    return [f"{where} is {stored!r}, recomputed: {anew!r}"]


def equal(stored: Any, anew: Any) -> bool:
    """Whether two values are the same, numbers but for rounding."""
    numbers = (int, float)
    if isinstance(stored, numbers) and isinstance(anew, numbers):
        return math.isclose(stored, anew, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(stored == anew)
