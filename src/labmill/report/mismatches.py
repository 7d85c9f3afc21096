"""What a study's tables say against what was recomputed: cell by cell, claim by claim."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labmill.report.runs_table import number, read_table
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
