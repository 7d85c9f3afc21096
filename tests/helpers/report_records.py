"""Results of a study that has nothing but some files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labmill.report.results import StudyResults
from labmill.report.runs import ResultsFolder, Run

# A job in the form of `labmill.core.records.Provenance`.
PROVENANCE = {
    "code": {},
    "consumes": {},
    "kind": "test",
    "settings": {},
    "fingerprint": "abc",
    "versions": {},
    "machine": {},
    "slurm": None,
    "date": "2026-01-01T00:00:00+00:00",
}


def results_with(
    folder: Path,
    files: Mapping[str, Mapping[str, str]],
    study: Mapping[str, Any],
    labels: Mapping[str, str] | None = None,
) -> StudyResults:
    """Return results of variants whose first run has these files, `folder` holding them."""
    here = ResultsFolder(folder, "results")
    rows = []
    for variant, names in files.items():
        label = (labels or {}).get(variant, variant)
        cells = {"variant": variant, "label": label, "kind": "variant", "seed": 0}
        planned = {kind: f"results/{name}" for kind, name in names.items()}
        more = {"stage": "dense", "status": "completed"}
        rows.append(Run({"files": planned}, cells | more, folder=here))
    return StudyResults(study=study, rows=rows, folder=here)
