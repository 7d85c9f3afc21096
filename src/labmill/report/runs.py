"""Read a study's files into rows, each cell with the file and field it came from."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from labmill.analysis.records import Examination, Formulations, Representation
from labmill.core.csv_tables import read_table
from labmill.core.errors import LabmillError
from labmill.core.files import read_json
from labmill.core.fingerprint import digest
from labmill.core.records import Record
from labmill.core.trees import flatten
from labmill.evaluation.records import Metrics
from labmill.evaluation.scores import further_score
from labmill.profiling.records import Measurement
from labmill.pruning.records import Influence, PruneRecord
from labmill.search.chosen_settings import as_used
from labmill.search.select import run_result
from labmill.study.schema import Report, Study
from labmill.training.records import ModelDescription

PARTS = ("validation", "test")
# Without one of these, a stage has no result. A capsule leaves the weights out.
NEEDED = ("description", "history", "prune", "metrics", "predictions")
TIME = re.compile(r"^\d\d:\d\d:\d\d ")

# The file of a stage, as the index names it, that has a record.
FILES: dict[type[Record], str] = {
    ModelDescription: "description",
    PruneRecord: "prune",
    Metrics: "metrics",
    Measurement: "measure",
    Examination: "examine",
    Representation: "represent",
    Formulations: "formulate",
    Influence: "influence",
}
R = TypeVar("R", bound=Record)

# States of runs without a result: in no mean, count or test.
UNUSABLE = ("failed", "diverged")

# metrics.json's content for a record; `verify` gives one that recomputes it.
Scores = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class ResultsFolder:
    """Where a study's results are now; `planned`: the folder in its plan."""

    folder: Path
    planned: str

    def path(self, planned: str) -> Path:
        """Return where a planned file is now."""
        inside = Path(planned)
        if inside.is_relative_to(self.planned):
            return self.folder / inside.relative_to(self.planned)
        return inside


@dataclass
class Run:
    """One stage of one run.

    `cells`: the run's row of runs.csv; `sources`: cell → (file, field); `settings`: dotted keys
    of model and training; `provenance`: of each job that wrote a file of the stage;
    `metrics`: metrics.json.
    """

    record: Mapping[str, Any]
    cells: dict[str, Any]
    sources: dict[str, tuple[str, str]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, dict[str, Any]] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    folder: ResultsFolder | None = None

    def put(self, name: str, value: Any, file: str, at: str) -> None:
        """Set a cell to the value of field `at` of `file`, if there is one."""
        if value is not None and value != "":
            self.cells[name] = value
            self.sources[name] = (self.record["files"][file], at)

    def input(self, name: str) -> dict[str, str]:
        """Return file and field of a cell, as a claim names them."""
        file, at = self.sources[name]
        return {"file": file, "field": at}

    def source(self, file: str, at: str) -> dict[str, str]:
        """Return a field of one of the run's files, as a claim names it."""
        return {"file": self.record["files"][file], "field": at}

    def path(self, file: str) -> Path | None:
        """Return one of the run's files, or None where the run has none."""
        planned = self.record["files"].get(file)
        found = self.folder.path(planned) if self.folder and planned else None
        return found if found and found.is_file() and found.stat().st_size else None

    def read(self, kind: type[R]) -> R | None:
        """Return one of the run's records, or None where the run has none."""
        path = self.path(FILES[kind])
        return load_record(kind, path) if path else None

    def history(self) -> list[dict[str, Any]]:
        """Return the run's epochs."""
        path = self.path("history")
        return read_table(path) if path else []

    def rows(self, file: str = "history") -> pd.DataFrame:
        """Return the run's epochs (or `batches`), empty where the run has none."""
        path = self.path(file)
        return pd.read_csv(path) if path else pd.DataFrame()

    def arrays(self, file: str) -> dict[str, np.ndarray] | None:
        """Return the arrays of one of the run's files, or None where the run has none."""
        path = self.path(file)
        if path is None:
            return None
        with np.load(path) as found:
            return dict(found)

    @property
    def variant(self) -> str:
        return self.cells["variant"]

    @property
    def label(self) -> str:
        return self.cells["label"]

    @property
    def kind(self) -> str:
        return self.cells["kind"]

    @property
    def seed(self) -> int:
        return self.cells["seed"]

    @property
    def stage(self) -> str:
        return self.cells["stage"]

    def value(self, column: str) -> float | None:
        """Return a metric or a numeric setting, None where the run has none."""
        value = self.cells.get(column, self.settings.get(column))
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return None if math.isnan(value) else value

    @property
    def usable(self) -> bool:
        """Whether the run ended with a result of its settings."""
        return self.cells["status"] not in UNUSABLE


@cache
def load_record(kind: type[R], path: Path) -> R:
    """Return a record, read once per process."""
    return kind.read(path)


def mean(rows: Iterable[Run], column: str) -> float:
    """Return a metric's mean over runs."""
    return float(np.mean([row.cells[column] for row in rows]))


def made_by_all(steps: Mapping[int, Sized]) -> list[int]:
    """Return the steps of a prune loop that every seed made: only they have a mean.

    steps: step → one entry per usable run that made it.
    """
    seeds = max(map(len, steps.values()), default=0)
    return [step for step, runs in steps.items() if len(runs) == seeds]


def stage_of(stage: str) -> tuple[str, str]:
    """Split `<loop>_<step>` or `<loop>_<control>`; `dense` is ("", "dense")."""
    loop, _, what = stage.rpartition("_")
    return loop, what


def results_folder(index: Iterable[Mapping[str, Any]], folder: Path) -> ResultsFolder:
    """Return where the results of a plan's index are: in `folder`."""
    for record in index:
        if record["kind"] == "search":
            planned = Path(record["files"]["chosen"]).parents[1]
        else:
            planned = Path(record["folder"]).parents[2]
        return ResultsFolder(folder, planned.as_posix())
    raise LabmillError(f"{folder}: the plan lists no runs")


def as_declared(study: Mapping[str, Any]) -> dict[str, Any]:
    """Return the study of a job's record, questions and levels in the file's order.

    The first level is the reference, and a record's keys are sorted. The margin
    and options of the report have their defaults where the record is older.
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
    report = Report().model_dump(mode="json") | study.get("report", {})
    margin = Study.model_fields["margin"].default
    return {"margin": margin, **study, "compare": questions, "report": report}


def read_runs(
    index: Iterable[Mapping[str, Any]],
    folder: ResultsFolder,
    scores: Scores | None = None,
    further: Sequence[str] = (),
) -> list[Run]:
    """Return one row per run and stage, failed ones included, in the plan's order.

    further: metrics of the predictions that the study asks for.
    """
    read = scores or (lambda record: read_json(folder.path(record["files"]["metrics"])))
    rows = [
        read_run(record, folder, read, further)
        for record in index
        if record["kind"] not in ("search", "edits")
    ]
    for row in rows:
        ended = {key: row.cells[key] for key in ("status", "reason")}
        row.record = {**row.record, **ended}
    return rows


def read_run(
    record: Mapping[str, Any],
    folder: ResultsFolder,
    scores: Scores,
    further: Sequence[str] = (),
) -> Run:
    """Return one stage's row; a stage without its files has the status `failed`."""
    identity = {
        key: record[key] for key in ("variant", "label", "kind", "seed", "stage")
    }
    files = {name: folder.path(path) for name, path in record["files"].items() if path}
    missing = [
        name
        for name in record["files"]
        if not (name in files and files[name].is_file())
    ]
    lost = [name for name in NEEDED if name in missing]
    row = Run(
        record,
        identity | {"status": "failed", "reason": None, "model": None},
        folder=folder,
    )
    if set(missing) - {"model", "batches"}:
        row.cells["reason"] = record.get("reason") or reason(record, folder, missing)
    if "description" not in missing:
        add_description(row, read_json(files["description"]), folder)
    if lost:
        row.cells["status"] = "failed"
        return row
    add_history(row, files["history"], files["description"])
    if "prune" in record["files"]:
        add_prune(row, read_json(files["prune"]))
    if "metrics" in record["files"]:
        add_metrics(row, scores(record))
        add_further_metrics(row, files["predictions"], further)
    if "measure" in files and "measure" not in missing:
        add_measure(row, read_json(files["measure"]))
    return row


def reason(record: Mapping[str, Any], folder: ResultsFolder, missing: list[str]) -> str:
    """Return why files are missing: the last line of the job's log, if there is one."""
    log = folder.path(record["log"]) if record.get("log") else None
    if log and not log.is_absolute() and not log.is_file():
        depth = len(Path(folder.planned).parts)
        log = Path(folder.folder, *[".."] * depth, log)
    lines = log.read_text(encoding="utf-8").split("\n") if log and log.is_file() else []
    said = [TIME.sub("", line).strip() for line in lines if line.strip()]
    return said[-1] if said else f"no file for: {', '.join(missing)}"


def add_description(
    row: Run, description: Mapping[str, Any], folder: ResultsFolder
) -> None:
    """Add status, cost of training and settings, from model.json."""
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
    row.settings = settings_of(description, choice_of(row.record, folder))


def choice_of(record: Mapping[str, Any], folder: ResultsFolder) -> Path | None:
    """Return the chosen.json that a run began from, or None."""
    path = folder.path(record["chosen"]) if record.get("chosen") else None
    return path if path and path.is_file() else None


def settings_of(description: Mapping[str, Any], chosen: Path | None) -> dict[str, Any]:
    """Return the settings of a run: dotted keys of `model` and `training`.

    description: model.json, whose network is as built but whose recipe is as declared;
    chosen: what a search chose for the run (see `choice_of`).
    """
    used = as_used(description["provenance"]["settings"], chosen)
    return {
        "model.name": description["name"],
        **flatten(description["arguments"], "model"),
        **flatten(used.get("training", {}), "training"),
    }


def add_history(row: Run, history: Path, description: Path) -> None:
    """Add the end of the curves, from history.csv; for points as their search saw it."""
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
        found = run_result(run).validation_accuracy
        row.put("validation_accuracy", found, "history", "validation_accuracy")


def add_prune(row: Run, prune: Mapping[str, Any]) -> None:
    """Add the accuracies of a prune step and what is left, from prune.json."""
    row.provenance["prune"] = dict(prune["provenance"])
    for name in ("before", "after_pruning", "finetuned", "parameters", "macs"):
        row.put(name, prune[name], "prune", name)
    row.put("dense_macs", prune.get("dense_macs"), "prune", "dense_macs")


def add_metrics(row: Run, metrics: Mapping[str, Any]) -> None:
    """Add scores on validation and test images, from metrics.json."""
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


def add_further_metrics(row: Run, predictions: Path, names: Sequence[str]) -> None:
    """Add metrics that the study asks for, computed from predictions.npz.

    Raises:
        LabmillError: one is no number.
    """
    if not names:
        return
    with np.load(predictions) as arrays:
        for part in PARTS:
            logits, labels = arrays[f"{part}_logits"], arrays[f"{part}_labels"]
            for name in names:
                value = further_score(name, logits, labels)
                if math.isfinite(value):
                    field = f"{part}_logits"
                    row.put(f"{part}_{name}", value, "predictions", field)


def add_measure(row: Run, measure: Mapping[str, Any]) -> None:
    """Add parameters, operations and latency, from measure.json."""
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
