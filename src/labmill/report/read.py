"""Read a study's files into rows, each cell with the file and field it came from."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labmill.errors import LabmillError
from labmill.fingerprint import digest
from labmill.report.runs_table import read_table
from labmill.runtime import read_json
from labmill.search.chosen import as_used
from labmill.search.select import figures

PARTS = ("validation", "test")
# Without one of these, a stage has no result. A capsule leaves the weights out.
NEEDED = ("description", "history", "prune", "metrics", "predictions")
TIME = re.compile(r"^\d\d:\d\d:\d\d ")

# What became of a run that says nothing about its recipe: in no mean, count or test.
UNUSABLE = ("failed", "diverged")

# metrics.json's content for a record; `verify` gives one that recomputes it.
Scores = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Place:
    """Where a study's results are now; `planned` is what its plan called the folder."""

    folder: Path
    planned: str

    def path(self, planned: str) -> Path:
        """The file that the plan called `planned`."""
        inside = Path(planned)
        if inside.is_relative_to(self.planned):
            return self.folder / inside.relative_to(self.planned)
        return inside


@dataclass
class Row:
    """One stage of one run.

    `cells`: what runs.csv says; `sources`: cell → (file, field); `settings`: dotted keys
    of model and training; `provenance`: of each job that wrote a file of the stage;
    `metrics`: metrics.json.
    """

    record: Mapping[str, Any]
    cells: dict[str, Any]
    sources: dict[str, tuple[str, str]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, dict[str, Any]] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)

    def put(self, name: str, value: Any, file: str, at: str) -> None:
        """Set a cell that stands in `file` at `at`, if it has a value."""
        if value is not None and value != "":
            self.cells[name] = value
            self.sources[name] = (self.record["files"][file], at)

    def input(self, name: str) -> dict[str, str]:
        """The cell's origin, as a claim names it."""
        file, at = self.sources[name]
        return {"file": file, "field": at}

    @property
    def usable(self) -> bool:
        """Whether the run came to an end that says something about its recipe."""
        return self.cells["status"] not in UNUSABLE


def made_by_all(steps: Mapping[int, Sized]) -> list[int]:
    """The steps of a prune loop that every seed has made: only they have a mean.

    steps: step → one entry per usable run that made it.
    """
    seeds = max(map(len, steps.values()), default=0)
    return [step for step, runs in steps.items() if len(runs) == seeds]


def stage_of(stage: str) -> tuple[str, str]:
    """`<loop>_<step>` or `<loop>_<control>` as (loop, step or control); ("", "dense")."""
    loop, _, what = stage.rpartition("_")
    return loop, what


def place_of(index: Iterable[Mapping[str, Any]], folder: Path) -> Place:
    """The place of a plan's index whose results are in `folder`."""
    for record in index:
        if record["kind"] == "search":
            planned = Path(record["files"]["chosen"]).parents[1]
        else:
            planned = Path(record["folder"]).parents[2]
        return Place(folder, planned.as_posix())
    raise LabmillError(f"{folder}: the plan lists no runs")


def as_declared(study: Mapping[str, Any]) -> dict[str, Any]:
    """The study of a job's record with questions and their levels in the file's order.

    The first level is the reference, and a record's keys are sorted.
    """
    questions = {
        name: asked
        | {
            "levels": {
                k: asked["levels"][k] for k in asked.get("order", asked["levels"])
            }
        }
        for name, asked in sorted(
            study["compare"].items(), key=lambda one: one[1].get("place", 0)
        )
    }
    return {**study, "compare": questions}


def read_rows(
    index: Iterable[Mapping[str, Any]],
    place: Place,
    scores: Scores | None = None,
) -> list[Row]:
    """One row per record of a run, failed ones included, in the plan's order."""
    read = scores or (lambda record: read_json(place.path(record["files"]["metrics"])))
    return [
        read_row(record, place, read)
        for record in index
        if record["kind"] not in ("search", "edits")
    ]


def read_row(record: Mapping[str, Any], place: Place, scores: Scores) -> Row:
    """One stage's row; a stage without its files has the status `failed`."""
    identity = {
        key: record[key] for key in ("variant", "label", "kind", "seed", "stage")
    }
    files = {
        name: place.path(path) if path else None
        for name, path in record["files"].items()
    }
    missing = [name for name, path in files.items() if not (path and path.is_file())]
    lost = [name for name in NEEDED if name in missing]
    row = Row(record, identity | {"status": "failed", "reason": None, "model": None})
    if set(missing) - {"model", "batches"}:
        row.cells["reason"] = record.get("reason") or reason(record, place, missing)
    if "description" not in missing:
        add_description(row, read_json(files["description"]), place)
    if lost:
        row.cells["status"] = "failed"
        return row
    add_history(row, files["history"], files["description"])
    if "prune" in files:
        add_prune(row, read_json(files["prune"]))
    if "metrics" in files:
        add_metrics(row, scores(record))
    if "measure" in files and "measure" not in missing:
        add_measure(row, read_json(files["measure"]))
    return row


def reason(record: Mapping[str, Any], place: Place, missing: list[str]) -> str:
    """Why files are missing: the last line of the job's log, where there is one."""
    log = place.path(record["log"]) if record.get("log") else None
    if log and not log.is_absolute() and not log.is_file():
        depth = len(Path(place.planned).parts)
        log = Path(place.folder, *[".."] * depth, log)
    lines = log.read_text(encoding="utf-8").split("\n") if log and log.is_file() else []
    said = [TIME.sub("", line).strip() for line in lines if line.strip()]
    return said[-1] if said else f"no file for: {', '.join(missing)}"


def add_description(row: Row, description: Mapping[str, Any], place: Place) -> None:
    """Status, cost of training, and what was trained, from model.json."""
    training, made = description["training"], description["provenance"]
    row.provenance["model"] = {"device": training.get("device")} | made
    row.cells |= {"status": training["status"], "model": description["name"]}
    row.put("epochs", training.get("epochs"), "description", "training.epochs")
    row.put("train_seconds", training.get("seconds"), "description", "training.seconds")
    row.put(
        "parameters", training.get("parameters"), "description", "training.parameters"
    )
    row.put("precision", training.get("precision"), "description", "training.precision")
    row.put("device", training.get("device"), "description", "training.device")
    row.put("threads", training.get("threads"), "description", "training.threads")
    row.cells |= {
        "code": digest(made["code"]),
        "torch": made["versions"].get("torch"),
        "fingerprint": made["fingerprint"],
    }
    row.settings = settings_of(description, choice_of(row.record, place))


def choice_of(record: Mapping[str, Any], place: Place) -> Path | None:
    """The chosen.json that a record's run began from, if it did and it is there."""
    path = place.path(record["chosen"]) if record.get("chosen") else None
    return path if path and path.is_file() else None


def settings_of(description: Mapping[str, Any], chosen: Path | None) -> dict[str, Any]:
    """What a run was trained with: dotted keys of `model` and `training`.

    description: model.json, whose network is as built but whose recipe is as declared;
    chosen: what a search chose for the run (see `choice_of`).
    """
    used = as_used(description["provenance"]["settings"], chosen)
    return {
        "model.name": description["name"],
        **flat("model", description["arguments"]),
        **flat("training", used.get("training", {})),
    }


def add_history(row: Row, history: Path, description: Path) -> None:
    """The end of the curves, from history.csv; a point's figures as its search saw them."""
    epochs = read_table(history)
    names = ("train_accuracy", "train_loss", "validation_accuracy", "validation_loss")
    for name in (*names, "images_per_second"):
        values = [epoch[name] for epoch in epochs if epoch[name] is not None]
        known = [value for value in values if math.isfinite(value)]
        if known:
            row.put(name, known[-1], "history", name)
    if epochs:
        row.put("train_operations", epochs[-1]["operations"], "history", "operations")
        memory = [
            e["peak_memory_mb"] for e in epochs if e["peak_memory_mb"] is not None
        ]
        row.put(
            "peak_memory_mb", max(memory, default=None), "history", "peak_memory_mb"
        )
    if row.cells["kind"] == "point" and row.usable:
        run = {
            "seed": row.cells["seed"],
            "history": history,
            "description": description,
        }
        found = figures(run)["validation_accuracy"]
        row.put("validation_accuracy", found, "history", "validation_accuracy")


def add_prune(row: Row, prune: Mapping[str, Any]) -> None:
    """The triple of a prune step and what is left, from prune.json."""
    row.provenance["prune"] = dict(prune["provenance"])
    for name in ("before", "after_pruning", "finetuned", "parameters", "macs"):
        row.put(name, prune[name], "prune", name)
    row.put("dense_macs", prune.get("dense_macs"), "prune", "dense_macs")


def add_metrics(row: Row, metrics: Mapping[str, Any]) -> None:
    """Scores on validation and test images, from metrics.json."""
    row.metrics = metrics
    row.provenance["metrics"] = dict(metrics["provenance"])
    for part in PARTS:
        for name, value in metrics["parts"][part].items():
            if isinstance(value, int | float):
                row.put(f"{part}_{name}", value, "metrics", f"parts.{part}.{name}")
    for name, value in metrics["parts"]["test"]["class_accuracy"].items():
        at = f"parts.test.class_accuracy.{name}"
        row.put(f"class_accuracy.{name}", value, "metrics", at)
    for precision, parts in metrics.get("decoding", {}).items():
        for part in PARTS:
            at = f"decoding.{precision}.{part}.exact"
            row.put(f"{part}_exact_{precision}", parts[part]["exact"], "metrics", at)
    row.put("test_openings", metrics["test_openings"], "metrics", "test_openings")


def add_measure(row: Row, measure: Mapping[str, Any]) -> None:
    """Parameters, operations and latency, from measure.json."""
    row.provenance["measure"] = dict(measure["provenance"])
    row.put("parameters", measure["parameters"], "measure", "parameters")
    row.put("macs", measure["macs"], "measure", "macs")
    total = measure["operations"]["total"]["operations"]
    row.put("operations", total, "measure", "operations.total.operations")
    for number, timing in enumerate(measure["latency"]):
        stem = f"latency_ms_b{timing['batch']}"
        names = {"": "median_ms", "_q1": "q1_ms", "_q3": "q3_ms", "_n": "n"}
        for end, name in names.items():
            row.put(stem + end, timing[name], "measure", f"latency.{number}.{name}")


def flat(prefix: str, value: Any) -> dict[str, Any]:
    """Nested mappings as dotted keys below `prefix`; lists are leaves."""
    if isinstance(value, Mapping) and value:
        return {
            key: leaf
            for name, inner in value.items()
            for key, leaf in flat(f"{prefix}.{name}" if prefix else name, inner).items()
        }
    return {prefix: value}
