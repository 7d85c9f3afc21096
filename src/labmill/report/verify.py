"""Recompute a report from its predictions: `python -m labmill.report.verify results/x`.

From logits and labels: every figure of metrics.json; from these, the histories and the
measurements: every cell of runs.csv, the order of every search, every claim; from these
the report is written anew, and report.md, report.html, report.pdf and every figure must
be the same files. What cannot be recomputed without training again (losses per epoch,
timings, the steps between two evaluations of a prune loop) is taken from its file.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labmill.data import arrays
from labmill.errors import LabmillError
from labmill.evaluation.metrics import score
from labmill.report.mismatches import claim_mismatches, differences, table_mismatches
from labmill.report.read import PARTS, Place
from labmill.report.rewrite import REPORT, report_mismatches
from labmill.report.summarize import Summary, summary
from labmill.runtime import finite, read_json
from labmill.search.select import figures_of, rank

FILES = ("index.json", "runs.csv", "claims.json", *REPORT, "report.json")
HOLDS = (
    "The report, word for word and figure for figure, is what these results give: scores "
    "and claims recomputed from the predictions, losses and timings as their files have them."
)


@dataclass(frozen=True)
class Verdict:
    """What became of a check.

    Attributes:
        mismatches: what does not follow from the results.
        unchecked: files that could not be compared, and why.
    """

    mismatches: Sequence[str]
    unchecked: Sequence[str]

    def __str__(self) -> str:
        lines = [*self.mismatches, *(f"Not checked: {said}" for said in self.unchecked)]
        if self.mismatches:
            count = len(self.mismatches)
            lines.append(
                f"{count} mismatches: this report does not follow from its results."
            )
        elif self.unchecked:
            lines.append(
                "Every claim and table follows from the results; see what was not checked."
            )
        else:
            lines.append(HOLDS)
        return "\n".join(lines)


def verify(results: Path) -> Verdict:
    """Recompute a finished report and compare.

    results: a study's folder. LabmillError when it holds no finished report.
    """
    made, found = recomputed(Path(results))
    more, unchecked = report_mismatches(Path(results), made)
    return Verdict([*found, *more], unchecked)


def recomputed(results: Path) -> tuple[Summary, list[str]]:
    """The summary from the predictions, and what of the stored one does not follow."""
    missing = [name for name in FILES if not (results / name).is_file()]
    if missing:
        raise LabmillError(f"{results}: no finished report here; missing: {missing[0]}")
    index = read_json(results / "index.json")
    place = Place(results, index["results"])
    found: list[str] = []

    def scores(record: Mapping[str, Any]) -> dict[str, Any]:
        metrics, wrong = rescored(record, place)
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
    return made, found


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


def rescored(
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
    opened = arrays.openings(place.folder / "test_openings.jsonl")
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
        rows = [
            {key: one[key] for key in ("point", "settings")}
            | figures_of(one["point"], runs)
            for one in record["ranking"]
        ]
        anew = finite(rank(rows, **record["rule"]))
        yield from differences(record["ranking"], anew, f"{path}: ranking")


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
    for said in read_json(Path(arguments[0]) / "index.json")["mixed"]:
        print(f"Note: {said}")
    print(found)
    return 1 if found.mismatches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
