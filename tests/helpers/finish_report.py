"""Bring synthetic results to a finished report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labmill.archive.rerender import write_report
from labmill.report.runs import results_folder
from labmill.report.summarize import summarize, summary


def finish(
    root: Path, job: Mapping[str, Any], index: Sequence[Mapping[str, Any]]
) -> Path:
    """Write runs.csv, index.json, claims.json and the report; the study's folder."""
    planned = next(r for r in index if r["kind"] != "search")["folder"]
    results = root / Path(planned).parents[2]
    summarize(
        job,
        index,
        runs=results / "runs.csv",
        index_out=results / "index.json",
        claims=results / "claims.json",
    )
    made = summary(job, index, results_folder(index, results))
    write_report(results, made, results, "#SBATCH --ntasks=1")
    return results
