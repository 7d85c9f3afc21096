"""The files that a study's summary reads: from the list of runs, never a glob."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from labmill.core.fingerprint import canonical
from labmill.core.trees import JsonObject, Settings
from labmill.plan.analyses import ANALYSES
from labmill.plan.checkpoints import (
    CheckpointRecords,
    all_finished,
    step_of,
    undecided,
)
from labmill.plan.edit_slots import CONFIRMED, PROPOSED
from labmill.plan.planned_study import PlannedStudy
from labmill.plan.search_rounds import read_rounds
from labmill.study.variants import ResolvedVariant

Files = dict[str, str | None]


@dataclass(frozen=True)
class StageRecord:
    """One stage of one run, and the files that the summary reads of it."""

    variant: str
    label: str
    kind: str  # `variant`, `pretext`, `point` (of a search) or `edit`
    seed: int
    stage: str  # `dense`, `pretext`, `<loop>_<step>` or `<loop>_<control>`
    folder: str
    chosen: str | None  # the file of the choice that the run took its settings from
    files: Files  # name → path; None for a file that is missing from a partial report
    reason: str | None = None  # why files are missing

    def as_json(self) -> Settings:
        """Return the record as index.json holds it."""
        found = asdict(self)
        if self.reason is None:
            del found["reason"]
        return found


@dataclass(frozen=True)
class SearchRecord:
    """The choice of one search."""

    search: str
    files: Files
    reason: str | None = None

    def as_json(self) -> Settings:
        """Return the record as `summarize` reads it."""
        return _reasoned(
            {"kind": "search", "stage": self.search, "files": self.files}, self.reason
        )


@dataclass(frozen=True)
class EditRecord:
    """The rankings of one variant's architecture edits."""

    variant: str
    files: Files
    reason: str | None = None

    def as_json(self) -> Settings:
        """Return the record as `summarize` reads it."""
        return _reasoned(
            {"kind": "edits", "variant": self.variant, "files": self.files}, self.reason
        )


Record = StageRecord | SearchRecord | EditRecord


def _reasoned(values: Settings, reason: str | None) -> Settings:
    return values | ({"reason": reason} if reason else {})


@dataclass(frozen=True)
class Stage:
    """One stage of a run: `dense`, `pretext`, `<loop>_<step>`, `<loop>_<control>`."""

    name: str
    pruned: bool = False  # whether a pruning step made it
    tested: bool = True  # whether the test set is opened for it
    timed: bool = True  # whether its latency is measured, for the first seed


def steps_made(
    study: PlannedStudy, loop: str, variant: str, seed: int, records: CheckpointRecords
) -> int:
    """Return the number of steps of a pruning loop, which its results may decide."""
    pruning = study.study.pruning[loop]
    if not pruning.open_ended:
        return pruning.steps
    for step in range(1, pruning.steps + 1):
        if records("prune", step_of(loop, variant, seed, step))["finished"]:
            return step
    return pruning.steps


def cheapest_above(records: Sequence[JsonObject], least: float) -> int | None:
    """Return the position of the record of least `macs` with `finetuned` above `least`.

    The more accurate of equal ones; None where none is above. A step that was not made
    has no accuracy.
    """
    above = [
        (record["macs"], -record["finetuned"], position)
        for position, record in enumerate(records)
        if record.get("finetuned", least) > least
    ]
    return min(above)[-1] if above else None


def kept_step(records: Sequence[JsonObject], limit: float) -> int:
    """Return the last step of a loop before its loss exceeds a limit; 0 if the first does.

    The loss is that of validation accuracy since the unpruned network. A step that was
    not made has no accuracy.
    """
    kept = 0
    for step, record in enumerate(records, 1):
        if "finetuned" not in record:
            break
        if records[0]["before"] - record["finetuned"] > limit + 1e-9:
            break
        kept = step
    return kept


def loop_stages(
    study: PlannedStudy, loop: str, variant: str, seed: int, records: CheckpointRecords
) -> list[Stage]:
    """Return the steps and controls of one pruning loop.

    The test set is opened for the last step, the last one within `drop`, the step that
    the loop's rule chooses (`above`) and the controls, not for every step on the way.
    """
    pruning = study.study.pruning[loop]
    made = steps_made(study, loop, variant, seed, records)
    tested = {made}
    if pruning.above is not None or pruning.drop is not None:
        steps = [
            records("prune", step_of(loop, variant, seed, step))
            for step in range(1, made + 1)
        ]
    if pruning.drop is not None and (kept := kept_step(steps, pruning.drop)):
        tested.add(kept)
    if pruning.above is not None:
        position = cheapest_above(steps, pruning.above)
        tested |= set() if position is None else {position + 1}
    found = []
    for step in range(1, made + 1):
        timed = step in tested or pruning.measured == "every"
        found.append(Stage(f"{loop}_{step}", True, step in tested, timed))
    return found + [Stage(f"{loop}_{control}") for control in pruning.controls]


def stages(
    study: PlannedStudy,
    entry: ResolvedVariant,
    seed: int,
    records: CheckpointRecords,
    reached: Mapping[str, str],
) -> list[Stage]:
    """Return all stages of a run, in the order in which they are made.

    `reached`: point of a search → its stage; one that is missing was not tried.
    """
    if entry.kind == "point":
        names = [reached[entry.name]] if entry.name in reached else []
        return [Stage(name, tested=False, timed=False) for name in names]
    if entry.kind != "variant":
        name = "pretext" if entry.kind == "pretext" else "dense"
        return [Stage(name, tested=False, timed=False)]
    pruned = [
        stage
        for loop in study.loops(entry.name)
        for stage in loop_stages(study, loop, entry.name, seed, records)
    ]
    return [Stage("dense"), *pruned]


# The files of a stage's folder that each rule makes: name in the index → file.
OUTPUTS = {
    "train": {
        "model": "model.safetensors",
        "description": "model.json",
        "history": "history.csv",
        "batches": "batches.csv",
    },
    "prune": {
        "model": "model.safetensors",
        "description": "model.json",
        "history": "history.csv",
        "prune": "prune.json",
    },
    "control": {
        "model": "model.safetensors",
        "description": "model.json",
        "history": "history.csv",
    },
    "evaluate": {"predictions": "predictions.npz", "metrics": "metrics.json"},
    "measure": {"measure": "measure.json"},
    **{kind: analysis.files for kind, analysis in ANALYSES.items()},
}
OUTPUTS["pretrain"] = OUTPUTS["train"]
OUTPUTS["pause"] = OUTPUTS["train"] | {"state": "state.safetensors"}


def stage_rules(
    study: PlannedStudy, entry: ResolvedVariant, seed: int, stage: Stage
) -> list[str]:
    """Return the rules that make the files of one stage, the model's first."""
    rules = ["control"]
    if stage.name in ("dense", "pretext"):
        rules = ["pretrain" if entry.kind == "pretext" else "train"]
    elif entry.kind == "point":
        rules = ["pause"]
    elif stage.pruned:
        rules = ["prune"]
    rules += ["evaluate"] if stage.tested else []
    rules += ["measure"] if stage.timed and seed == entry.seeds[0] else []
    if stage.name in ("dense", "pretext"):
        rules += study.analyses(entry.name, seed)
    return rules


def stage_files(
    study: PlannedStudy, entry: ResolvedVariant, seed: int, stage: Stage
) -> Files:
    """Return the files of one stage that the summary reads."""
    folder = study.folder(entry.name, seed, stage.name)
    names: dict[str, str] = {}
    for rule in stage_rules(study, entry, seed, stage):
        names |= OUTPUTS[rule]
    if stage.name == "pretext":
        # The summary reads no times of a pretext task's batches.
        del names["batches"]
    names.pop("state", None)
    found: Files = {key: f"{folder}/{name}" for key, name in names.items()}
    if (split := study.split_folder(seed)) != study.results:
        found |= {"split": f"{split}/split.npz", "test": f"{split}/test.npz"}
    return found


def planned_seeds(study: PlannedStudy, records: CheckpointRecords) -> dict[str, int]:
    """Return the number of seeds of each variant whose results decide it."""
    rounds = study.study.rounds
    if rounds is None:
        return {}
    found = dict.fromkeys([entry.name for entry in study.variants], rounds.start)
    for number, size in enumerate(rounds.looks[1:], 1):
        more = undecided(study, records, number)
        if not more:
            break
        found |= dict.fromkeys(more, size)
    return found


def rounds_made(study: PlannedStudy, records: CheckpointRecords) -> range:
    """Return the rounds after which results decide who gets more seeds."""
    rounds = study.study.rounds
    last = len(rounds.looks) - 1 if rounds else 0
    made = (n for n in range(1, last + 1) if not undecided(study, records, n))
    return range(1, next(made, last) + 1)


def round_index(
    study: PlannedStudy, number: int, records: CheckpointRecords
) -> list[StageRecord]:
    """List the runs of all rounds up to one: what it decides by."""

    def before(rule: str, at: Mapping[str, Any]) -> JsonObject:
        if rule == "decide" and int(at["round"]) >= number:
            return {"finished": True}
        return records(rule, at)

    read = {*OUTPUTS["train"], *OUTPUTS["evaluate"]}
    return [
        replace(record, files={k: v for k, v in record.files.items() if k in read})
        for record in stage_records(results_index(study, before))
        if record.kind == "variant"
    ]


def results_index(study: PlannedStudy, records: CheckpointRecords) -> list[Record]:
    """List what the summary reads, in the order of the study.

    One record per run and stage, one per search and one per variant whose edits are
    searched, each with its files.
    """
    seeds = planned_seeds(study, records)
    reached: dict[str, str] = {}
    for search in study.study.search:
        reached |= read_rounds(study, search, records).stages
    found: list[Record] = [
        StageRecord(
            variant=entry.name,
            label=entry.label,
            kind=entry.kind,
            seed=seed,
            stage=stage.name,
            folder=study.folder(entry.name, seed, stage.name),
            chosen=study.choice_file(entry),
            files=stage_files(study, entry, seed, stage),
        )
        for entry in study.resolved.values()
        for seed in entry.seeds[: seeds.get(entry.name)]
        for stage in stages(study, entry, seed, records, reached)
    ]
    for search in study.study.search:
        chosen = f"{study.results}/{search}/chosen.json"
        found.append(SearchRecord(search, {"chosen": chosen}))
    for variant in study.edited:
        kinds = (PROPOSED, CONFIRMED)
        files: Files = {kind: study.ranking_file(variant, kind) for kind in kinds}
        found.append(EditRecord(variant, files))
    return found


def stage_records(records: Iterable[Record]) -> list[StageRecord]:
    """Return the records of runs, without searches and rankings."""
    return [record for record in records if isinstance(record, StageRecord)]


def unordered(records: Iterable[Record]) -> list[Settings]:
    """Return the records as JSON in an order that the study's order does not decide."""
    return sorted((record.as_json() for record in records), key=canonical)


def ordered(records: list[Settings], files: list[str]) -> list[Settings]:
    """Sort JSON records by the position of their files in `files`, others last."""
    position = {path: number for number, path in enumerate(files)}

    def first(record: Settings) -> int:
        found = [position[p] for p in record["files"].values() if p in position]
        return min(found, default=len(files))

    return sorted(records, key=first)


def results_files(records: Iterable[Record]) -> list[str]:
    """Return every file of the index that is not missing."""
    return [path for record in records for path in record.files.values() if path]


def fixed_files(study: PlannedStudy) -> list[str]:
    """Return the files that the summary reads whatever prune loops decide."""
    index = results_index(study, all_finished)
    fixed = [
        record
        for record in index
        if not isinstance(record, StageRecord)
        or record.kind != "variant"
        or record.stage == "dense"
    ]
    return results_files(fixed)


def without_missing(
    records: Iterable[Record], why: Callable[[Record], str | None]
) -> list[Record]:
    """Return the index with None for files that do not exist, and the `reason`.

    Files made from a model that is now missing count as missing too.
    """
    found: list[Record] = []
    for record in records:
        files = {
            name: path if path and Path(path).exists() else None
            for name, path in record.files.items()
        }
        if not files.get("model", True):
            files = dict.fromkeys(files)
        reason = None if all(files.values()) else why(record)
        found.append(replace(record, files=files, reason=reason))
    return found


@dataclass(frozen=True)
class TriedRun:
    """One run that a choice reads: a point of a search or a brief training of an edit."""

    point: str  # name of the point, or of the brief training
    seed: int
    history: str
    description: str
    rank: int = 0  # of an edit in its ranking; 0 for points of a search


def _tried(
    study: PlannedStudy, name: str, seed: int, rank: int = 0, stage: str = "dense"
) -> TriedRun:
    folder = study.folder(name, seed, stage)
    return TriedRun(name, seed, f"{folder}/history.csv", f"{folder}/model.json", rank)


def point_runs(
    study: PlannedStudy, search: str, records: CheckpointRecords
) -> list[TriedRun]:
    """Return the runs of one search, each at the stage that it reached."""
    reached = read_rounds(study, search, records).stages
    return [
        _tried(study, point.name, seed, stage=reached[point.name])
        for point in study.points(search)
        if point.name in reached
        for seed in point.seeds
    ]


def trial_runs(study: PlannedStudy, variant: str) -> list[TriedRun]:
    """Return the brief trainings of a variant's edits."""
    assert study.study.edits is not None
    seed = study.resolve(variant).seeds[0]
    numbers = range(study.study.edits.trials + 1)
    return [_tried(study, f"{variant}_edit{n}", seed, n + 1) for n in numbers]


def tried_files(runs: Iterable[TriedRun]) -> list[str]:
    """Return the files that a choice reads."""
    return [path for run in runs for path in (run.history, run.description)]


def base_choice(study: PlannedStudy, search: str) -> str | None:
    """Return the file of the earlier choice that a search's variant begins from."""
    chosen = study.study.variants[study.study.search[search].variant].chosen
    return f"{study.results}/{chosen.search}/chosen.json" if chosen else None
