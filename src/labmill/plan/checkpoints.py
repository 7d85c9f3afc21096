"""What checkpoints decided: more seeds, and the ends of prune loops and searches."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from labmill.core.files import read_json
from labmill.core.trees import JsonObject, Settings
from labmill.plan.planned_study import PlannedStudy

# Reads what a checkpoint made, by its rule and the wildcards: prune.json of a step, a
# round of a search, or of seeds.
CheckpointRecords = Callable[[str, Mapping[str, Any]], JsonObject]


def step_of(loop: str, variant: str, seed: int, step: int) -> dict[str, str]:
    """Return the wildcards of a step of a pruning loop."""
    at = {"loop": loop, "variant": variant}
    return at | {"seed": str(seed), "step": str(step)}


def checkpoint_file(study: PlannedStudy, rule: str, at: Mapping[str, Any]) -> str:
    """Return the file by which a checkpoint decides what follows."""
    if rule == "decide":
        return f"{study.results}/round_{at['round']}.json"
    if rule == "round":
        return f"{study.results}/{at['search']}/round{at['round']}.json"
    folder = study.folder(at["variant"], at["seed"], f"{at['loop']}_{at['step']}")
    return f"{folder}/prune.json"


def undecided(
    study: PlannedStudy, records: CheckpointRecords, number: int
) -> Sequence[str]:
    """Return the variants that get more seeds after a round; none after the last one."""
    found = records("decide", {"round": str(number)})
    if "undecided" in found:
        names: Sequence[str] = found["undecided"]
        return names
    return () if found["finished"] else [entry.name for entry in study.variants]


def all_unfinished(rule: str, at: Mapping[str, Any]) -> Settings:
    """Take loops to their last step, searches to all points, variants to all seeds."""
    return {"finished": False}


def all_finished(rule: str, at: Mapping[str, Any]) -> Settings:
    """Take no loop beyond its first step, no search to any point, no second round."""
    return {"finished": True}


def on_disk(
    study: PlannedStudy, path_of: Callable[[str], Path] = Path
) -> CheckpointRecords:
    """Read checkpoints from the results; one that was not made is the last."""

    def read(rule: str, at: Mapping[str, Any]) -> JsonObject:
        path = path_of(checkpoint_file(study, rule, at))
        found = read_json(path) if path.exists() else {"finished": True}
        assert isinstance(found, dict)
        return found

    return read
