"""Results of variants that a study no longer has, and of those that were only renamed."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from labmill.core.errors import LabmillError
from labmill.core.files import read_json, write_json, writing
from labmill.core.fingerprint import canonical
from labmill.core.records import seal, sealed_part
from labmill.core.trees import JsonObject
from labmill.plan.plan import Plan, PlannedJob

# Folders of a study's results that belong to no variant.
KEPT = ("figures", "splits")


@dataclass(frozen=True)
class Leftover:
    """The results of one variant that the study no longer has."""

    folder: Path  # of the results
    renamed: str = ""  # the variant that is the same but for its name; empty if none is

    def __str__(self) -> str:
        if self.renamed:
            return f"{self.folder}: renamed to {self.renamed}"
        return f"{self.folder}: the study has no variant {self.folder.name!r}"


def leftover_results(plan: Plan) -> list[Leftover]:
    """Return the leftover results of a study, in the order of their names."""
    known = {*plan.resolved, *plan.study.search, *KEPT}
    fresh = [name for name in plan.resolved if not Path(plan.results, name).exists()]
    found = []
    for folder in sorted(Path(plan.results).glob("*/")):
        if folder.name in known or not list(folder.glob("seed*/*/model.json")):
            continue
        same = [name for name in fresh if _same_runs(plan, folder, name)]
        found.append(Leftover(folder, same[0] if len(same) == 1 else ""))
    return found


def move(plan: Plan, leftover: Leftover) -> None:
    """Move the results of a renamed variant, and write its new name into its records."""
    old, new = leftover.folder.name, leftover.renamed
    target = leftover.folder.with_name(new)
    with writing(target):
        leftover.folder.rename(target)
        for kind in ("logs", "benchmarks"):
            for path in Path(kind).glob(f"*/{plan.study_path}.{old}.*"):
                begin = f"{Path(plan.study_path).name}.{old}."
                name = path.name.removeprefix(begin)
                path.rename(
                    path.with_name(f"{Path(plan.study_path).name}.{new}.{name}")
                )
        _rename_openings(Path(plan.results), old, new)
    for planned in _jobs_of(plan, new):
        for path in map(Path, planned.outputs.values()):
            if path.suffix == ".json" and path.is_file():
                values = read_json(path)
                if "provenance" in values:
                    record = planned.job.record
                    values["provenance"] |= record
                    values["provenance"]["fingerprint"] = planned.job.fingerprint
                    sealed_part(values).pop("sha256", None)
                    sealed_part(values)["sha256"] = seal(values)
                    times = path.stat()
                    write_json(path, values)
                    # Else the file counts as a newer input of the jobs that read it.
                    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def delete(leftover: Leftover) -> None:
    """Delete the results of a removed variant."""
    with writing(leftover.folder):
        shutil.rmtree(leftover.folder)


def _jobs_of(plan: Plan, variant: str) -> list[PlannedJob]:
    return [job for job in plan.jobs() if job.wildcards.get("variant") == variant]


def _same_runs(plan: Plan, folder: Path, name: str) -> bool:
    """Return True if all trainings in a folder are those of a variant, but for its name."""
    entry = plan.resolve(name)
    stage = "pretext" if entry.kind == "pretext" else "dense"
    found = False
    for seed in entry.seeds:
        path = folder / f"seed{seed}" / stage / "model.json"
        if not path.is_file():
            continue
        try:
            stored = read_json(path)["provenance"]
        except (LabmillError, KeyError, TypeError):
            return False
        planned = plan.train_job(name, seed).record
        if _nameless(stored) != _nameless(planned):
            return False
        found = True
    return found


def _nameless(record: JsonObject) -> str:
    settings = {k: v for k, v in record["settings"].items() if k != "variant"}
    kept = {key: record[key] for key in ("kind", "code", "consumes")}
    return canonical(kept | {"settings": settings})


def _rename_openings(results: Path, old: str, new: str) -> None:
    """Let the openings of the test set count for the new name."""
    path = results / "test_openings.jsonl"
    if path.is_file():
        text = path.read_text(encoding="utf-8")
        path.write_text(
            text.replace(f'"who": "{old}/', f'"who": "{new}/'), encoding="utf-8"
        )
