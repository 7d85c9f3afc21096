"""Compare stored results with recomputed ones: values, tables, claims, lines of text."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path
from typing import Any

from labmill.core.csv_tables import number, read_table
from labmill.core.files import finite, read_json
from labmill.core.trees import JsonObject
from labmill.report.runs import Run

# Two machines may add the same numbers in another order.
TOLERANCE = 1e-9


def table_mismatches(
    path: Path, table: Sequence[JsonObject], rows: Sequence[Run]
) -> Iterator[str]:
    """Yield the cells of runs.csv that are not the recomputed ones.

    `rows` are those of `table`, with the file that each cell came from.
    """
    stored = read_table(path)
    if len(stored) != len(table):
        yield f"runs.csv: {len(stored)} rows, recomputed: {len(table)}"
        return
    for old, new, row in zip(stored, table, rows, strict=True):
        run = "runs.csv: {variant} seed {seed} {stage}".format(**new)
        for name in dict.fromkeys([*new, *old]):
            cell = new.get(name)
            value = number("" if cell is None else str(cell))
            file, _ = row.sources.get(name, ("", ""))
            source = f" (from {file})" if file else ""
            for found in differences(old.get(name), value, f"{run}.{name}"):
                yield found + source


def claim_mismatches(path: Path, claims: Sequence[JsonObject]) -> list[str]:
    """Return what claims.json has that the recomputed claims have not, and the reverse."""
    stored_claims = read_json(path)
    stored = {claim["id"]: claim for claim in stored_claims}
    computed = {claim["id"]: finite(claim) for claim in claims}
    found = []
    if len(stored) < len(stored_claims):
        times = Counter(claim["id"] for claim in stored_claims)
        found += [
            f"claims.json: {id}: is there {n} times" for id, n in times.items() if n > 1
        ]
    elif stored.keys() == computed.keys() and [*stored] != [*computed]:
        found.append("claims.json: the claims are in another order")
    for id in stored | computed:
        where = f"claims.json: {id}"
        if id not in computed:
            found.append(f"{where}: nothing supports this claim")
        elif id not in stored:
            found.append(f"{where}: is missing")
        else:
            found += differences(stored[id], computed[id], where)
    return sorted(found)


def differences(stored: Any, computed: Any, where: str) -> list[str]:
    """Return where two JSON values differ, by path; numbers beyond rounding."""
    if isinstance(stored, Mapping) and isinstance(computed, Mapping):
        keys = dict.fromkeys([*computed, *stored])
        pairs = [(key, stored.get(key), computed.get(key)) for key in keys]
    elif (
        isinstance(stored, list | tuple)
        and isinstance(computed, list | tuple)
        and len(stored) == len(computed)
    ):
        pairs = list(zip(range(len(stored)), stored, computed, strict=True))
    else:
        numbers = isinstance(stored, int | float) and isinstance(computed, int | float)
        same = (
            math.isclose(stored, computed, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
            if numbers
            else stored == computed
        )
        what = f"{where} is {short(stored)}, recomputed: {short(computed)}"
        return [] if same else [what]
    return [
        found
        for key, old, new in pairs
        for found in differences(old, new, f"{where}.{key}")
    ]


def short(value: Any, most: int = 300) -> str:
    """Return a value as a message shows it."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}…"


def text_mismatches(stored: str, written: str) -> Iterator[str]:
    """Yield where two texts of report.md differ, line by line, tables cell by cell."""
    old, new = stored.splitlines(), written.splitlines()
    for kind, a, b, c, d in SequenceMatcher(None, old, new, False).get_opcodes():
        if kind == "equal":
            continue
        heads = (re.match(r"## .*\{#section-([\w-]+)\}$", line) for line in new[c::-1])
        where = f"report.md, {next((head[1] for head in heads if head), 'title')}"
        for line, other in zip_longest(old[a:b], new[c:d]):
            if line and other:
                yield from line_mismatches(line, other, where)
            elif line:
                yield f"{where}: nothing in the results supports: {short(line)}"
            elif other:
                yield f"{where}: is missing: {short(other)}"


def line_mismatches(old: str, new: str, where: str) -> Iterator[str]:
    """Yield how a line differs: the cells of a table's row, or the whole line."""
    cells = [line.strip("| ").split(" | ") for line in (old, new)]
    if old.startswith("|") and new.startswith("|") and len(cells[0]) == len(cells[1]):
        for a, b in zip(*cells, strict=True):
            if a != b:
                both = f"{short(a)}, recomputed: {short(b)}"
                yield f"{where}: a table has {both} (row {cells[0][0]})"
    else:
        yield f"{where}: is {changed(old, new)}, recomputed: {changed(new, old)}"


def changed(text: str, other: str, context: int = 60) -> str:
    """Return the part of a line that differs from another line, with some context."""
    first = shared(text, other)
    last = len(text) - shared(text[:first:-1], other[:first:-1])
    return short(text[max(0, first - context) : last + context], most=1000)


def shared(text: str, other: str) -> int:
    """Return how many characters two texts share at their beginning."""
    pairs = enumerate(zip(text, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(text), len(other)))
