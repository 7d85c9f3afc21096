"""Which files a study's summary reads: from the plan's list of runs, never a glob."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from labmill import edits
from labmill.entries import Entry
from labmill.fingerprint import canonical
from labmill.plan import Plan
from labmill.runtime import read_json

# Whether a step of a prune loop was its last: (loop, variant, seed, step) -> bool.
Finished = Callable[[str, str, "int | str", int], bool]


def last_step(
    plan: Plan, loop: str, variant: str, seed: int | str, finished: Finished
) -> int:
    """The number of steps of a prune loop; `finished(step)` asks the results."""
    pruning = plan.study.pruning[loop]
    if pruning.drop is None and pruning.macs is None:
        return pruning.steps
    for step in range(1, pruning.steps + 1):
        if finished(loop, variant, seed, step):
            return step
    return pruning.steps


def stages(plan: Plan, variant: str, seed: int | str, finished: Finished) -> list[str]:
    """All stages of a run, in the order in which they are made."""
    steps = {
        loop: last_step(plan, loop, variant, seed, finished)
        for loop in plan.loops(variant)
    }
    return ["dense"] + [
        f"{loop}_{step}" for loop, n in steps.items() for step in range(1, n + 1)
    ]


def results_index(plan: Plan, finished: Finished) -> list[dict[str, Any]]:
    """What the summary reads, in the order of the study.

    One record per (entry, seed, stage), one per search and one per variant whose edits
    are searched, each with its files.
    """
    records = []
    for entry in plan.entries.values():
        first = "pretext" if entry.kind == "pretext" else "dense"
        for seed in entry.seeds:
            made = (
                stages(plan, entry.name, seed, finished)
                if entry.kind == "variant"
                else [first]
            )
            for stage in made:
                files = stage_files(plan, entry, seed, stage, made)
                records.append(
                    {
                        "variant": entry.name,
                        "label": entry.label,
                        "kind": entry.kind,
                        "seed": seed,
                        "stage": stage,
                        "folder": plan.folder(entry.name, seed, stage),
                        "files": files,
                    }
                )
    for stage in plan.study.search:
        chosen = f"{plan.results}/{stage}/chosen.json"
        records.append({"kind": "search", "stage": stage, "files": {"chosen": chosen}})
    for variant in edits.edited(plan):
        files = {
            kind: edits.ranking_file(plan, variant, kind)
            for kind in (edits.PROPOSED, edits.CONFIRMED)
        }
        records.append({"kind": "edits", "variant": variant, "files": files})
    return records


def stage_files(
    plan: Plan, entry: Entry, seed: int, stage: str, made: list[str]
) -> dict[str, str]:
    """The files of one stage that the summary reads.

    The test set is opened for the dense net and the end of each loop, not for every
    step on the way; the first seed's are measured, alone on the machine.
    """
    folder = plan.folder(entry.name, seed, stage)
    names = {
        "model": "model.safetensors",
        "description": "model.json",
        "history": "history.csv",
    }
    if stage == "dense":
        names["batches"] = "batches.csv"
    elif stage != "pretext":
        names["prune"] = "prune.json"
    if entry.kind == "variant":
        loop = stage.rpartition("_")[0]
        last = [s for s in made if s.rpartition("_")[0] == loop][-1]
        if stage in ("dense", last):
            names |= {"metrics": "metrics.json", "predictions": "predictions.npz"}
            if seed == entry.seeds[0]:
                names["measure"] = "measure.json"
        if stage == "dense" and plan.examined(entry.name, seed):
            names |= {"examine": "examine.json", "examine_arrays": "examine.npz"}
    return {key: f"{folder}/{name}" for key, name in names.items()}


def unordered(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same records in an order that the study's order of keys does not decide."""
    return sorted(records, key=canonical)


def ordered(records: list[dict[str, Any]], files: list[str]) -> list[dict[str, Any]]:
    """The records in the order in which their files stand in `files`, none last."""
    place = {path: number for number, path in enumerate(files)}

    def first(record: dict[str, Any]) -> int:
        found = [place[path] for path in record["files"].values() if path in place]
        return min(found, default=len(files))

    return sorted(records, key=first)


def results_files(records: list[dict[str, Any]]) -> list[str]:
    """Every file of the index that is not missing."""
    return [path for record in records for path in record["files"].values() if path]


def ended_on_disk(plan: Plan) -> Finished:
    """Whether a step was its loop's last, as far as the results tell."""

    def finished(loop: str, variant: str, seed: int | str, step: int) -> bool:
        record = Path(plan.folder(variant, seed, f"{loop}_{step}")) / "prune.json"
        return not record.exists() or bool(read_json(record)["finished"])

    return finished


def without_missing(
    records: list[dict[str, Any]], why: Callable[[dict[str, Any]], str | None]
) -> list[dict[str, Any]]:
    """The index with files that do not exist as None, and the `reason`.

    What was made from a model that is now missing counts as missing too.
    """
    kept = []
    for record in records:
        files = {
            name: path if Path(path).exists() else None
            for name, path in record["files"].items()
        }
        if not files.get("model", True):
            files = dict.fromkeys(files)
        reason = None if all(files.values()) else why(record)
        kept.append(record | {"files": files} | ({"reason": reason} if reason else {}))
    return kept


def point_runs(plan: Plan, stage: str) -> list[dict[str, Any]]:
    """The runs of one search: point, seed and the files that the choice reads."""
    return [
        {
            "point": point.name,
            "seed": seed,
            "history": f"{folder}/history.csv",
            "description": f"{folder}/model.json",
        }
        for point in plan.points(stage)
        for seed in point.seeds
        for folder in [plan.folder(point.name, seed, "dense")]
    ]


def point_files(plan: Plan, stage: str) -> list[str]:
    """The files that the choice of one search reads."""
    return [
        run[key]
        for run in point_runs(plan, stage)
        for key in ("history", "description")
    ]


def search_base(plan: Plan, stage: str) -> str | list[str]:
    """The earlier choice that a search's variant begins from, or nothing."""
    chosen = plan.study.variants[plan.study.search[stage].variant].chosen
    return f"{plan.results}/{chosen.search}/chosen.json" if chosen else []
