"""Rule summarize: one table of all runs, the index for the report, and every claim.

`index.json`: `study` (name), `scale`, `results` (the folder as planned), `runs` (the
plan's records with `status` and `reason`), `searches` (stage → chosen.json), `mixed`
(sentences: what differs between the jobs behind the numbers), `provenance`.
`claims.json`: a list of claims, see `labmill.report.claims`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labmill.report.claims import Evidence, make_claims
from labmill.report.mixed import mixed
from labmill.report.read import Place, Row, Scores, as_declared, place_of, read_rows
from labmill.report.runs_table import as_table, write_table
from labmill.runtime import log, read_json, write_json


@dataclass(frozen=True)
class Summary:
    """All that `summarize` writes: the rows of runs.csv, index and claims."""

    rows: list[Row]
    table: list[dict[str, Any]]
    index: dict[str, Any]
    claims: list[dict[str, Any]]


def summarize(
    job: Mapping[str, Any],
    index: Sequence[Mapping[str, Any]],
    *,
    runs: Path,
    index_out: Path,
    claims: Path,
) -> None:
    """Write runs.csv, index.json and claims.json.

    job: the job's record, `settings` being the resolved `study` and `scale`; index: the
    plan's list of runs and searches. A run whose files are missing is a result too: its
    status is `failed`, its `reason` the last line of its log.
    """
    made = summary(job, index, place_of(index, Path(index_out).parent))
    write_table(runs, made.table)
    write_json(index_out, made.index)
    write_json(claims, made.claims)
    log.info("%d rows, %d claims", len(made.table), len(made.claims))


def summary(
    job: Mapping[str, Any],
    index: Sequence[Mapping[str, Any]],
    place: Place,
    scores: Scores | None = None,
) -> Summary:
    """Everything that follows from the files; `scores` replaces reading metrics.json."""
    study = as_declared(job["settings"]["study"])
    index = labelled(index, place)
    rows = read_rows(index, place, scores)
    searches = {
        record["stage"]: record["files"]["chosen"]
        for record in index
        if record["kind"] == "search"
    }
    edits = {r["variant"]: r["files"] for r in index if r["kind"] == "edits"}
    told = {
        "study": Path(place.planned).name,
        "scale": job["settings"]["scale"],
        "results": place.planned,
        "runs": [
            dict(row.record) | {key: row.cells[key] for key in ("status", "reason")}
            for row in rows
        ],
        "searches": searches,
        "edits": edits,
        "mixed": mixed(rows),
        "provenance": dict(job),
    }
    evidence = Evidence(
        study=study,
        rows=rows,
        place=place,
        searches=searches,
        edits=edits,
        scale=told["scale"],
    )
    return Summary(rows, as_table(rows), told, make_claims(evidence))


def labelled(
    index: Sequence[Mapping[str, Any]], place: Place
) -> list[Mapping[str, Any]]:
    """The records, those of confirmed edits called after what the edit turned out to be."""
    labels = {r["variant"]: r["label"] for r in index if r["kind"] == "variant"}
    for record in index:
        path = (
            place.path(record["files"]["confirmed"])
            if record["kind"] == "edits"
            else None
        )
        if path and path.is_file():
            origin = record["variant"]
            for rank, row in enumerate(read_json(path)["ranking"], 1):
                labels[f"{origin}_confirmed{rank}"] = (
                    f"{labels[origin]}, {row['words']}"
                )
    return [
        {**r, "label": labels[r["variant"]]} if r["kind"] == "variant" else r
        for r in index
    ]
