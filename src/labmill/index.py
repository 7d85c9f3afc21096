"""Which files a study's summary reads: from the plan's list of runs, never a glob."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labmill import edits, looks
from labmill.entries import Entry
from labmill.fingerprint import canonical
from labmill.plan import Plan
from labmill.runtime import read_json

# The prune.json of a step of a prune loop: (loop, variant, seed, step) -> record.
Recorded = Callable[[str, str, "int | str", int], dict[str, Any]]


def steps_made(
    plan: Plan, loop: str, variant: str, seed: int | str, recorded: Recorded
) -> int:
    """The number of steps of a prune loop, which the results may decide."""
    pruning = plan.study.pruning[loop]
    if pruning.drop is None and pruning.macs is None:
        return pruning.steps
    for step in range(1, pruning.steps + 1):
        if recorded(loop, variant, seed, step)["finished"]:
            return step
    return pruning.steps


def cheapest(
    plan: Plan, loop: str, variant: str, seed: int | str, made: int, recorded: Recorded
) -> int | None:
    """The step of least operations that is accurate enough (`above`), if one is."""
    least = plan.study.pruning[loop].above
    if least is None:
        return None
    records = [recorded(loop, variant, seed, step) for step in range(1, made + 1)]
    place = cheapest_above(records, least)
    return None if place is None else place + 1


def cheapest_above(records: Sequence[Mapping[str, Any]], least: float) -> int | None:
    """The place of the record of least `macs` with `finetuned` above `least`.

    Of equal ones, the more accurate. None where none is above; a step that was not made
    has no accuracy.
    """
    above = [
        (record["macs"], -record["finetuned"], place)
        for place, record in enumerate(records)
        if record.get("finetuned", least) > least
    ]
    return min(above)[-1] if above else None


@dataclass(frozen=True)
class Stage:
    """One stage of a run: `dense`, `pretext`, `<loop>_<step>`, `<loop>_<control>`.

    Attributes:
        pruned: whether a prune step made it.
        opened: whether the test set is opened for it.
        timed: whether its latency is measured, of the first seed.
    """

    name: str
    pruned: bool = False
    opened: bool = True
    timed: bool = True


def stages(
    plan: Plan, variant: str, seed: int | str, recorded: Recorded
) -> list[Stage]:
    """All stages of a variant's run, in the order in which they are made."""
    of_loops = [
        stage
        for loop in plan.loops(variant)
        for stage in loop_stages(plan, loop, variant, seed, recorded)
    ]
    return [Stage("dense"), *of_loops]


def loop_stages(
    plan: Plan, loop: str, variant: str, seed: int | str, recorded: Recorded
) -> list[Stage]:
    """The steps and controls of one prune loop.

    The test set is opened for the end of a loop, the step that its rule chooses and its
    controls, not for every step on the way.
    """
    pruning = plan.study.pruning[loop]
    made = steps_made(plan, loop, variant, seed, recorded)
    chosen = cheapest(plan, loop, variant, seed, made, recorded)
    found = []
    for step in range(1, made + 1):
        opened = step in (made, chosen)
        timed = opened or pruning.measured == "every"
        found.append(Stage(f"{loop}_{step}", True, opened, timed))
    return found + [Stage(f"{loop}_{control}") for control in pruning.controls]


def results_index(plan: Plan, recorded: Recorded) -> list[dict[str, Any]]:
    """What the summary reads, in the order of the study.

    One record per (entry, seed, stage), one per search and one per variant whose edits
    are searched, each with its files.
    """
    records = []
    for entry in plan.entries.values():
        first = "pretext" if entry.kind == "pretext" else "dense"
        for seed in entry.seeds:
            made = (
                stages(plan, entry.name, seed, recorded)
                if entry.kind == "variant"
                else [Stage(first, opened=False, timed=False)]
            )
            for stage in made:
                records.append(
                    {
                        "variant": entry.name,
                        "label": entry.label,
                        "kind": entry.kind,
                        "seed": seed,
                        "stage": stage.name,
                        "folder": plan.folder(entry.name, seed, stage.name),
                        "chosen": plan.choice_file(entry),
                        "files": stage_files(plan, entry, seed, stage),
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


def stage_files(plan: Plan, entry: Entry, seed: int, stage: Stage) -> dict[str, str]:
    """The files of one stage that the summary reads."""
    names = {
        "model": "model.safetensors",
        "description": "model.json",
        "history": "history.csv",
    }
    if stage.name == "dense":
        names["batches"] = "batches.csv"
    if stage.pruned:
        names["prune"] = "prune.json"
    if stage.opened:
        names |= {"metrics": "metrics.json", "predictions": "predictions.npz"}
    if stage.timed and seed == entry.seeds[0]:
        names["measure"] = "measure.json"
    if stage.name in ("dense", "pretext"):
        for look in looks.asked(plan, entry.name, seed):
            names |= looks.LOOKS[look].files
    folder = plan.folder(entry.name, seed, stage.name)
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


def fixed_files(plan: Plan) -> list[str]:
    """The files that the summary reads whatever the results of prune loops decide."""
    records = results_index(plan, lambda *_: {"finished": True})
    fixed = [r for r in records if r.get("kind") != "variant" or r["stage"] == "dense"]
    return results_files(fixed)


def on_disk(plan: Plan) -> Recorded:
    """The records that the results hold; a step that was not made ends its loop."""

    def recorded(loop: str, variant: str, seed: int | str, step: int) -> dict[str, Any]:
        path = Path(plan.folder(variant, seed, f"{loop}_{step}")) / "prune.json"
        return read_json(path) if path.exists() else {"finished": True}

    return recorded


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
