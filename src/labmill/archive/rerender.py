"""Write a finished report again from the files of its runs, and compare the two.

Figures, claims and tables are recomputed by the present code; nothing is trained.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

from labmill.archive.compare import text_mismatches
from labmill.archive.records import REPORT
from labmill.cluster.batch_script import batch_lines
from labmill.core.csv_tables import write_table
from labmill.core.errors import LabmillError
from labmill.core.files import read_json, write_json
from labmill.core.fingerprint import canonical, dataset_key
from labmill.core.provenance import provenance
from labmill.core.trees import JsonObject, Settings
from labmill.plan.report_jobs import WRITERS, report_job
from labmill.report.report_inputs import ReportFiles
from labmill.report.results import StudyResults
from labmill.report.runs import ResultsFolder
from labmill.report.summarize import Summary, summary
from labmill.report.write import ReportOutputs, write


def rerender(results: Path, folder: Path | None = None) -> Path:
    """Write runs.csv, claims.json and the report of `results`; return its HTML."""
    if not (results / "index.json").is_file():
        raise LabmillError(f"{results}: no results here; build the study first")
    index = read_json(results / "index.json")
    place = ResultsFolder(results, index["results"])
    made = summary(index["provenance"], planned_records(index), place)
    out = folder or results
    out.mkdir(parents=True, exist_ok=True)
    write_report(results, made, out, batch_lines({}))
    return out / "report.html"


def planned_records(index: JsonObject) -> list[Settings]:
    """Return the plan's list of runs, searches and edits, as the summary reads it."""
    searches = [
        {"kind": "search", "stage": stage, "files": {"chosen": path}}
        for stage, path in index["searches"].items()
    ]
    edits = [
        {"kind": "edits", "variant": variant, "files": files}
        for variant, files in index["edits"].items()
    ]
    return [*index["runs"], *searches, *edits]


def write_report(results: Path, made: Summary, folder: Path, slurm: str) -> None:
    """Write runs.csv, claims.json and the report of a summary into `folder`.

    `slurm`: how the report says that a training job is requested.
    """
    write_table(folder / "runs.csv", made.table[0], made.table)
    write_json(folder / "claims.json", made.claims)
    job = made.index["provenance"]
    settings = job["settings"] | {"slurm": slurm}
    record = provenance(canonical(report_job(settings, job["fingerprint"]).record))
    files = replace(report_files(results, made.index), claims=folder / "claims.json")
    write(StudyResults.read(files, record, made.rows), ReportOutputs.below(folder))


def report_files(results: Path, index: JsonObject) -> ReportFiles:
    """Return what the report of `results` reads, wherever they are now."""
    data = index["provenance"]["settings"]["study"]["data"]
    above = [".."] * len(Path(index["results"]).parts)
    root = results.joinpath(*above).resolve()
    # A finished report has the author's pictures, wherever the study file is now.
    finished = (results / "figures").is_dir()
    pictures = results / "figures" if finished else root / "studies"
    dataset = dataset_key(data["dataset"], data["arguments"])
    return ReportFiles.below(results, root / "data" / dataset, pictures)


def report_mismatches(results: Path, made: Summary) -> tuple[list[str], list[str]]:
    """Compare every file of the report with one written from the summary.

    Where other code or libraries wrote the report, bytes may differ although nothing is
    wrong. Return what the results do not support, and which files could not be
    compared.
    """
    record = read_json(results / "report.json")
    with tempfile.TemporaryDirectory() as temporary:
        written = Path(temporary)
        write_report(results, made, written, record["settings"]["slurm"])
        reasons = other_writers(record, read_json(written / "report.json"))
        texts = [
            (folder / "report.md").read_text(encoding="utf-8")
            for folder in (results, written)
        ]
        found = list(text_mismatches(*texts))
        old, new = files_of(results), files_of(written)
        different = [name for name in old | new if old.get(name) != new.get(name)]
    if reasons:
        why = ", ".join(reasons)
        return found, [f"{name}, written with {why}" for name in different]
    return found + [f"{name}: is not what these results give" for name in different], []


def files_of(folder: Path) -> dict[str, bytes | None]:
    """Return a report's files by name; None for one that is missing.

    Without Snakemake's own, which are hidden.
    """
    patterns = ("appendix.pdf", "figures/*.svg", "report_latex/**/*.*")
    found = [
        path
        for pattern in patterns
        for path in sorted(folder.glob(pattern))
        if not path.name.startswith(".")
    ]
    names = [*REPORT, *(path.relative_to(folder).as_posix() for path in found)]
    paths = {name: folder / name for name in names}
    return {n: p.read_bytes() if p.is_file() else None for n, p in paths.items()}


def other_writers(then: JsonObject, now: JsonObject) -> list[str]:
    """Return what wrote a report and is another version here, in words."""
    own = now["code"].keys() - set(WRITERS)
    same = then["consumes"]["templates"] == now["consumes"]["templates"]
    same = same and all(then["code"].get(key) == now["code"][key] for key in own)
    found = [] if same else ["another version of labmill"]
    old = then["code"] | {"system": then["machine"]["system"]}
    new = now["code"] | {"system": now["machine"]["system"]}
    return found + [
        f"{name} {old.get(name)} (here {new[name]})"
        for name in (*WRITERS, "system")
        if old.get(name) != new[name]
    ]
