"""Rule summarize: one table of all runs, the index for the report, and every claim.

`index.json`: `study` (name), `scale`, `results` (the folder as planned), `runs` (the
plan's records with `status` and `reason`), `searches` (stage → chosen.json), `mixed`
(sentences: what differs between the jobs behind the numbers), `unmade` (sentences: why the
claims of a topic are missing), `provenance`.
`claims.json`: a list of claims, see `labmill.report.claims`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labmill.architecture_edits.records import ConfirmedRanking, EditRanking
from labmill.core import registry
from labmill.core.csv_tables import write_table
from labmill.core.errors import LabmillError
from labmill.core.files import file_digest, read_json, write_json
from labmill.core.logs import log
from labmill.core.records import Record
from labmill.data.arrays import read_npz
from labmill.evaluation.records import Metrics
from labmill.report.claims.claim import Claim
from labmill.report.job_differences import mixed
from labmill.report.results import StudyResults
from labmill.report.run_table import as_table
from labmill.report.runs import (
    FILES,
    ResultsFolder,
    Run,
    Scores,
    as_declared,
    read_runs,
    results_folder,
)
from labmill.report.unmade import reason
from labmill.search.records import SearchResult
from labmill.training.records import ModelDescription

SPLIT = ("split.json", "split.npz", "test.npz")
KINDS: dict[str, type[Record]] = {
    **{name: kind for kind, name in FILES.items()},
    **{"chosen": SearchResult, "edits": EditRanking, "confirmed": ConfirmedRanking},
}


@dataclass(frozen=True)
class Summary:
    """All that `summarize` writes: the rows of runs.csv, index and claims."""

    rows: list[Run]
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
    folder = results_folder(index, Path(index_out).parent)
    for record in index:
        files = {k: folder.path(name) for k, name in record["files"].items() if name}
        check_files({key: path for key, path in files.items() if path.is_file()})
    made = summary(job, index, folder)
    write_table(runs, made.table[0], made.table)
    write_json(index_out, made.index)
    write_json(claims, made.claims)
    log.info("%d rows, %d claims", len(made.table), len(made.claims))


def check_files(files: Mapping[str, Path]) -> None:
    """Check the files of one run, search or ranking, by their names in the index.

    Raises:
        LabmillError: one is damaged, or another run's.
    """
    records = {
        key: kind.read(files[key]) for key, kind in KINDS.items() if key in files
    }
    described, scores = records.get("description"), records.get("metrics")
    if isinstance(described, ModelDescription):
        for key in {"history", "batches"} & files.keys():
            described.check(files[key])
    for key, path in files.items():
        if path.suffix == ".npz":
            arrays = read_npz(path)
            if key == "predictions" and isinstance(scores, Metrics):
                right = arrays["test_logits"].argmax(1) == arrays["test_labels"]
                if abs(right.mean() - scores.parts.test.accuracy) > 1e-6:
                    raise LabmillError(f"{path}: not the predictions of metrics.json")


def summary(
    job: Mapping[str, Any],
    index: Sequence[Mapping[str, Any]],
    folder: ResultsFolder,
    scores: Scores | None = None,
) -> Summary:
    """Everything that follows from the files; `scores` replaces reading metrics.json."""
    study = as_declared(job["settings"]["study"])
    index = labelled(index, folder)
    rows = read_runs(index, folder, scores, study.get("metrics", ()))
    content = {
        "study": Path(folder.planned).name,
        "scale": job["settings"]["scale"],
        "results": folder.planned,
        "runs": [row.record for row in rows],
        "searches": {
            record["stage"]: record["files"]["chosen"]
            for record in index
            if record["kind"] == "search"
        },
        "edits": {r["variant"]: r["files"] for r in index if r["kind"] == "edits"},
        "mixed": mixed(rows),
        "digests": digests(index, folder),
        "provenance": dict(job),
    }
    results = StudyResults(study=study, rows=rows, folder=folder, summary=content)
    claims, content["unmade"] = make_claims(results)
    return Summary(rows, as_table(rows), content, claims)


def make_claims(results: StudyResults) -> tuple[list[Claim], list[str]]:
    """Return the claims of all topics, in the order of the report's sections.

    Second, why the claims of a topic are missing: one sentence each.
    """
    kind = "report/claims"
    order = sorted(
        registry.names(kind),
        key=lambda name: registry.constant("report/sections", name, "POSITION"),
    )
    claims: list[Claim] = []
    unmade = []
    for name in order:
        try:
            found = registry.load(kind, name).make_claims(results)
            claims += [one | {"section": one["section"] or name} for one in found]
        except LabmillError:
            raise
        except Exception as error:
            unmade.append(reason(f"Statements about {name}", error))
    return claims, unmade


def digests(
    index: Sequence[Mapping[str, Any]], folder: ResultsFolder
) -> dict[str, str]:
    """Return the SHA-256 of every file that the summary and the report read.

    Weights are left out: test_openings.jsonl has those that were tested.
    """
    names = [f"{folder.planned}/{name}" for name in SPLIT]
    for record in index:
        names += [name for key, name in record["files"].items() if key != "model"]
    found = {name: folder.path(name) for name in names if name}
    return {name: file_digest(path) for name, path in found.items() if path.is_file()}


def labelled(
    index: Sequence[Mapping[str, Any]], folder: ResultsFolder
) -> list[Mapping[str, Any]]:
    """Return the records, those of confirmed edits called after what the edit turned out to be."""
    labels = {r["variant"]: r["label"] for r in index if r["kind"] == "variant"}
    for record in index:
        path = (
            folder.path(record["files"]["confirmed"])
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
