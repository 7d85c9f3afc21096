"""Recompute a report from its predictions: `python -m labmill.report.verify results/x`.

From logits and labels: every figure of metrics.json; from these, the histories and the
measurements: every cell of runs.csv, the order of every search, every claim; from these:
every row of every table, every statement and the author's own numbers in report.md.
What cannot be recomputed without training again (losses per epoch, timings, the steps
between two evaluations of a prune loop) is taken from its file.
"""

import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labmill.errors import LabmillError
from labmill.evaluation.metrics import score
from labmill.report.read import PARTS, Place, number, read_table
from labmill.report.recompute import Written, claims, rows, written_parts
from labmill.report.summarize import Summary, summary
from labmill.runtime import finite, read_json
from labmill.search.select import figures_of, rank

# Two machines may add the same numbers in another order.
TOLERANCE = 1e-9
FILES = ("index.json", "runs.csv", "claims.json", "report.md")


def verify(results: Path) -> list[str]:
    """What does not follow from the predictions; empty when all does.

    results: a study's folder. LabmillError when it holds no finished report.
    """
    results = Path(results)
    missing = [name for name in FILES if not (results / name).is_file()]
    if missing:
        raise LabmillError(f"{results}: no finished report here; missing: {missing[0]}")
    index = read_json(results / "index.json")
    place = Place(results, index["results"])
    found: list[str] = []

    def scores(record: Mapping[str, Any]) -> dict[str, Any]:
        metrics, wrong = recomputed(record, place)
        found.extend(wrong)
        return metrics

    made = summary(index["provenance"], records_of(index), place, scores)
    found += openings(made, place)
    found += sealed(index, place)
    found += searches(index, place)
    found += table_mismatches(results / "runs.csv", made.table)
    for key in ("runs", "searches", "edits", "mixed"):
        found += differences(index[key], finite(made.index[key]), f"index.json: {key}")
    found += claim_mismatches(results / "claims.json", made.claims)
    return found + report_mismatches(results, made)


def records_of(index: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The plan's list, as `summarize` was given it."""
    searches = [
        {"kind": "search", "stage": stage, "files": {"chosen": path}}
        for stage, path in index["searches"].items()
    ]
    edits = [
        {"kind": "edits", "variant": variant, "files": files}
        for variant, files in index["edits"].items()
    ]
    return [*index["runs"], *searches, *edits]


def recomputed(
    record: Mapping[str, Any], place: Place
) -> tuple[dict[str, Any], list[str]]:
    """metrics.json with all that logits and labels decide put in anew; mismatches."""
    file = place.path(record["files"]["metrics"])
    metrics = read_json(file)
    found: list[str] = []
    with np.load(place.path(record["files"]["predictions"])) as arrays:
        for part in PARTS:
            anew = finite(
                score(
                    arrays[f"{part}_logits"],
                    arrays[f"{part}_labels"],
                    metrics["classes"],
                )
            )
            stored = {key: metrics["parts"][part].get(key) for key in anew}
            where = f"{record['files']['metrics']}: parts.{part}"
            found += differences(stored, anew, where)
            metrics["parts"][part] |= anew
    return metrics, found


def openings(made: Summary, place: Place) -> list[str]:
    """How often a test set was opened, against the list of openings."""
    path = place.folder / "test_openings.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    opened = Counter(json.loads(line)["who"] for line in lines)
    found = []
    for row in made.rows:
        said = row.cells.get("test_openings")
        who = "{variant}/seed{seed}/{stage}".format(**row.cells)
        if said is not None and opened[who] != said:
            found.append(
                f"{row.record['files']['metrics']}: test_openings is {said}, "
                f"test_openings.jsonl lists {opened[who]}"
            )
    return found


def sealed(index: Mapping[str, Any], place: Place) -> list[str]:
    """Are test predictions those of the sealed images, and were these never seen?"""
    with np.load(place.folder / "test.npz") as file:
        test, labels = file["test"], file["labels"]
    with np.load(place.folder / "split.npz") as file:
        seen = np.concatenate([file["train"], file["validation"], file["unlabelled"]])
    found = []
    if overlap := len(np.intersect1d(test, seen)):
        found.append(f"test.npz: {overlap} images of {len(test)} are in split.npz too")
    for run in index["runs"]:
        path = run["files"].get("predictions")
        if path and place.path(path).is_file():
            with np.load(place.path(path)) as file:
                same = np.array_equal(file["test_indices"], test)
                if not (same and np.array_equal(file["test_labels"], labels)):
                    found.append(f"{path}: not of the sealed images and their labels")
    return found


def searches(index: Mapping[str, Any], place: Place) -> Iterator[str]:
    """The order of each search's points, from their histories."""
    for path in index["searches"].values():
        if not path or not place.path(path).is_file():
            continue
        record = read_json(place.path(path))
        runs = [
            {
                "point": run["variant"],
                "seed": run["seed"],
                "history": place.path(run["files"]["history"]),
                "description": place.path(run["files"]["description"]),
            }
            for run in index["runs"]
            if run["kind"] == "point"
        ]
        settings = sorted(
            ((p["point"], p["settings"]) for p in record["ranking"]),
            key=lambda pair: [run["point"] for run in runs].index(pair[0]),
        )
        rows = [
            {"point": name, "settings": own, **figures_of(name, runs)}
            for name, own in settings
        ]
        anew = finite(rank(rows, **record["rule"]))
        yield from differences(record["ranking"], anew, f"{path}: ranking")


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


def main(arguments: Sequence[str]) -> int:
    """Print what does not follow; 0 when all does, 1 when not, 2 for a wrong call."""
    if len(arguments) != 1:
        print("Say which one: python -m labmill.report.verify results/<study>")
        return 2
    try:
        found = verify(Path(arguments[0]))
    except LabmillError as error:
        print(f"Error: {error}")
        return 2
    for mismatch in found:
        print(mismatch)
    mixtures = read_json(Path(arguments[0]) / "index.json")["mixed"]
    print("\n".join(f"Note: {said}" for said in mixtures), end="\n" if mixtures else "")
    if found:
        print(
            f"{len(found)} mismatches: this report does not follow from its predictions."
        )
        return 1
    print("Every figure, claim and table follows from the predictions.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
