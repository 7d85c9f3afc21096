"""Results in the documented formats, drawn from known true accuracies, without training.

The study file is real, and so are its plan, its index and its jobs' records.
"""

import csv
import io
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from safetensors.numpy import save_file

from helpers.data_records import made_card
from labmill.core import registry
from labmill.core.errors import LabmillError
from labmill.core.files import finite, write_json
from labmill.core.fingerprint import digest
from labmill.core.records import Provenance
from labmill.data.classes import resolve_classes
from labmill.data.records import SplitSummary
from labmill.evaluation.metrics import score
from labmill.flops.table import CONVENTIONS, Quantities
from labmill.plan.checkpoints import all_unfinished
from labmill.plan.job import Job
from labmill.plan.outputs import point_runs, results_index
from labmill.plan.plan import Plan
from labmill.training.records import EpochRow

CLASSES = tuple("0123456789")
TRUE = {  # accuracy of the recipe, the seeds scatter around it
    "vit_sin_relu": 0.88,
    "vit_sin_tanh": 0.86,
    "vit_learn_relu": 0.93,
    "vit_learn_tanh": 0.91,
    "cnn": 0.97,
}
SPREAD = 0.002
POOL, VALIDATION, TEST, EPOCHS = 1000, 200, 400, 6

STUDY: dict[str, Any] = {
    "title": "Five synthetic networks",
    "question": "Which network reads digits best?",
    "author": {"name": "Ada Lovelace", "roll_number": "M21AIE225", "course": "DL 1"},
    "data": {"dataset": "digits", "validation": 0.15, "test": 0.2},
    "defaults": {
        "model": {"name": "vit", "patch": 2, "dim": 32, "depth": 2, "heads": 4},
        "training": {"epochs": EPOCHS, "learning_rate": 2e-3},
    },
    "variants": {
        f"vit_{short}_{activation}": {
            "label": f"ViT, {positions}, {activation}",
            "model": {"positions": positions, "activation": activation},
        }
        for short, positions in (("sin", "sinusoidal"), ("learn", "learnable"))
        for activation in ("relu", "tanh")
    }
    | {
        "cnn": {
            "label": "CNN",
            "model": {"name": "cnn", "layers": ["conv 16 bn", "pool", "flatten"]},
        }
    },
    "pruning": {"prune": {"variants": ["cnn"], "remove": 0.3, "steps": 3}},
    "compare": {
        "positions": {
            "question": "Does it matter how positions are told?",
            "levels": {
                "sinusoidal": ["vit_sin_relu", "vit_sin_tanh"],
                "learnable": ["vit_learn_relu", "vit_learn_tanh"],
            },
        },
        "network": {"levels": {"vit": ["vit_learn_relu"], "cnn": ["cnn"]}},
    },
    "published": {
        "source": "A report of 2021",
        "variants": {
            "vit_sin_relu": {"test_accuracy": 0.88, "train_seconds": 9355.13},
            "cnn": {
                "test_accuracy": 0.9,
                "test_macro_f1": 0.9,
                "test_loss": 0.3,
                "class_accuracy": {"0": 0.95, "1": 0.85},
            },
        },
        "history": {"cnn": {"train_accuracy": {"1": 0.5}, "test_accuracy": {"1": 0.4}}},
        "notes": {"cnn": "trained for ten epochs"},
    },
}
SEARCH = {
    "arch": {
        "variant": "cnn",
        "matrix": {
            "training.learning_rate": [1e-4, 1e-3, 1e-2],
            "training.batch_size": [8, 16, 32, 64],
        },
        "select": {"rule": "fastest", "tolerance": 0.02, "cost": "operations"},
    }
}


def make_results(
    root: Path,
    seeds: int = 3,
    *,
    diverged: bool | Literal["all"] = False,
    equal: bool = False,
    absent: bool = False,
    failed: bool = False,
    search: bool = False,
    true: dict[str, float | Sequence[float]] | None = None,
    changes: dict[str, Any] | None = None,
    name: str = "synthetic",
    scale: str = "full",
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Write all that stands before `summarize` below `root`; return its job and index.

    Paths in the index are relative to `root`. diverged: run vit_sin_tanh, last seed, or
    all runs; equal: all runs predict the same; absent: the last class has no test image;
    failed: run vit_learn_tanh, last seed, left no files; search: a search of 12 points;
    true: true test accuracies, around which seeds scatter, or one for each seed; changes: laid over the study, key by key.
    """
    study = (
        STUDY | {"seeds": list(range(seeds))} | ({"search": SEARCH} if search else {})
    )
    study |= changes or {}
    path = root / "studies" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    plan = Plan(path, scale)
    writer = Writer(root, plan, TRUE | (true or {}), equal=equal, absent=absent)
    writer.dataset()
    index = [record.as_json() for record in results_index(plan, all_unfinished)]
    for record in index:
        if record["kind"] == "search":
            try:
                writer.chosen(record["stage"])
            except LabmillError:  # all points diverged: the report is partial
                record["files"]["chosen"] = None
            continue
        if record["kind"] == "edits":
            continue
        at = (record["variant"], record["seed"], record["stage"])
        last = record["seed"] == seeds - 1 and record["stage"] == "dense"
        one = bool(diverged) and last and at[0] == "vit_sin_tanh"
        writer.run(record, one or diverged == "all")
        record["log"] = f"logs/train/{plan.study_path}.{at[0]}.seed{at[1]}.log"
        if failed and last and at[0] == "vit_learn_tanh":
            shutil.rmtree(root / record["folder"])
            log = root / record["log"]
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text("12:00:01 epoch 1\n12:00:09 Error: out of memory\n")
            record["files"] = {
                key: None if key == "predictions" else path
                for key, path in record["files"].items()
            }
    return stamped(plan.summarize_job()), index


def stamped(job: Job) -> dict[str, Any]:
    """A job's record as `labmill.core.provenance` gives it, on a machine of glass."""
    return job.record | {
        "fingerprint": digest(job.record),
        "versions": {"torch": "2.15.0", "numpy": "2.4.0", "labmill": "0.1.0"},
        "machine": {
            "processor": "Glass",
            "cores": 2,
            "system": "Linux",
            "python": "3.11",
        },
        "slurm": None,
        "device": "cpu",
        "threads": 1,
        "date": "2026-01-01T00:00:00+00:00",
    }


class Writer:
    """Writes one study's files, all drawn from generators seeded by name."""

    def __init__(
        self,
        root: Path,
        plan: Plan,
        true: dict[str, float | Sequence[float]],
        *,
        equal: bool = False,
        absent: bool = False,
    ) -> None:
        self.root, self.plan, self.true, self.equal = root, plan, true, equal
        generator = np.random.default_rng(7)
        self.classes = classes_of(plan)
        self.labels = generator.integers(0, len(self.classes), POOL)
        self.indices = generator.permutation(POOL)
        self.ease = generator.normal(size=POOL)
        if absent:
            test = self.part("test")
            self.labels[test] %= len(self.classes) - 1

    def part(self, name: str) -> np.ndarray:
        """The indices of a part of the split."""
        ends = {"validation": (0, VALIDATION), "test": (VALIDATION, VALIDATION + TEST)}
        first, last = ends.get(name, (VALIDATION + TEST, POOL))
        return self.indices[first:last]

    def dataset(self) -> None:
        """Arrays, card and split, so that the document has its inputs too."""
        folder, results = self.root / "data/digits", self.root / self.plan.results
        folder.mkdir(parents=True, exist_ok=True)
        results.mkdir(parents=True, exist_ok=True)
        images = np.random.default_rng(8).integers(0, 256, (POOL, 1, 8, 8), np.uint8)
        np.save(folder / "images.npy", images)
        np.save(folder / "labels.npy", self.labels)
        made_card(
            folder / "card.json",
            name="digits",
            source="drawn",
            digest="0" * 64,
            classes=self.classes,
            official={"train": POOL},
            class_counts={"train": tuple(np.bincount(self.labels).tolist())},
            mean=(0.5,),
            std=(0.29,),
        )
        names = ("train", "validation", "test")
        parts = {name: self.part(name) for name in names}
        np.savez(
            results / "split.npz",
            train=parts["train"],
            validation=parts["validation"],
            unlabelled=np.array([], np.int64),
            labels=self.labels,
        )
        test = parts["test"]
        np.savez(results / "test.npz", test=test, labels=self.labels[test])
        SplitSummary(
            dataset="digits",
            digest="0" * 64,
            seed=0,
            settings={},
            classes=self.classes,
            original_labels=tuple(range(len(self.classes))),
            official_test=False,
            sizes={name: len(part) for name, part in parts.items()},
            counts={
                name: tuple(
                    np.bincount(self.labels[part], minlength=len(self.classes)).tolist()
                )
                for name, part in parts.items()
            },
            duplicates={},
        ).write(results / "split.json")

    def accuracy(self, name: str, seed: int, stage: str) -> float:
        """The run's true accuracy: the recipe's, the pruning's loss, the seed's luck."""
        if self.equal:
            return 0.9
        step = step_of(stage)
        recipe = self.true.get(name, 0.9)
        if not isinstance(recipe, float):
            return recipe[seed]
        luck = np.random.default_rng([seed, *name.encode()]).normal() * SPREAD
        return float(np.clip(recipe - 0.004 * step**2 + luck, 0.1, 0.999))

    def logits(self, part: str, accuracy: float, *key: int) -> np.ndarray:
        """Logits whose images are right at that rate; easy images are so in every run."""
        generator = np.random.default_rng(0 if self.equal else key)
        rows = self.part(part)
        luck = 0.8 * self.ease[rows] + 0.6 * generator.normal(size=len(rows))
        order = np.argsort(np.argsort(-luck))
        right = order < round(accuracy * len(rows))
        labels = self.labels[rows]
        n = len(self.classes)
        others = (labels + generator.integers(1, n, len(rows))) % n
        logits = generator.normal(size=(len(rows), n)).astype(np.float32)
        logits[np.arange(len(rows)), np.where(right, labels, others)] += 8
        return logits

    def run(self, record: dict[str, Any], diverged: bool) -> None:
        """All files of one stage of one run."""
        name, seed, stage = record["variant"], record["seed"], record["stage"]
        files = {k: self.root / v for k, v in record["files"].items()}
        (self.root / record["folder"]).mkdir(parents=True, exist_ok=True)
        accuracy = 0.1 if diverged else self.accuracy(name, seed, stage)
        key = (seed, *f"{name} {stage}".encode())
        step = step_of(stage)
        parameters = round(
            (6000 if "cnn" in record["label"].lower() else 9000) * 0.7**step
        )
        content = np.frombuffer(digest(list(key)).encode(), np.uint8)
        save_file({"weights": content}, files["model"])
        epochs = self.plan.resolve(name).training.epochs if stage == "dense" else EPOCHS
        rows = self.history(accuracy, key, diverged, epochs)
        files["history"].write_text(table(rows, EpochRow.model_fields))
        if "batches" in files:
            steps = [
                {"epoch": 1, "step": 50, "images": 1600, "loss": 1.5, "accuracy": 0.4}
            ]
            files["batches"].write_text(table(steps if rows else [], steps[0]))
        write_json(
            files["description"],
            {
                **self.plan.resolve(name).model.model_dump(mode="json"),
                "num_classes": len(self.classes),
                "image_size": 8,
                "in_channels": 1,
                "training": {
                    "status": "diverged" if diverged else "completed",
                    "parameters": parameters,
                    **({} if stage == "dense" else {"macs": parameters * 30}),
                    "epochs": len(rows),
                    "seconds": rows[-1]["seconds"] if rows else 0.0,
                    "wall_seconds": rows[-1]["seconds"] + 0.5 if rows else 0.5,
                    "device": "cpu",
                    "threads": 1,
                    "precision": "fp32",
                    "compile": "off",
                    "resumed_at": [],
                },
                "provenance": stamped(self.plan.stage_job(name, seed, stage)),
            },
        )
        if "prune" in files:
            self.pruned(files["prune"], name, seed, stage, accuracy, parameters)
        if "metrics" in files:
            self.evaluated(record, files, accuracy, key)
        if "measure" in files:
            self.measured(record, files["measure"], parameters, key)

    def history(
        self, accuracy: float, key: tuple[int, ...], diverged: bool, epochs: int
    ) -> list[dict[str, Any]]:
        """One row per epoch; a diverged run ends after the third."""
        rows = []
        generator = np.random.default_rng(key)
        last = min(3, epochs) if diverged else epochs
        for epoch in range(1, last + 1):
            share = accuracy * (1 - 0.5**epoch)
            broken = diverged and epoch == last
            rows.append(
                {
                    "epoch": epoch,
                    "train_loss": "nan" if broken else round(2.3 * 0.6**epoch, 6),
                    "train_accuracy": round(min(1.0, share * 1.03), 6),
                    "validation_loss": ""
                    if broken
                    else round(1.5 * 0.7**epoch + 0.02 * epoch, 6),
                    "validation_accuracy": "" if broken else round(share, 6),
                    "learning_rate": 0.002,
                    "seconds": round(
                        0.5 * epoch + float(generator.uniform(0, 0.05)), 6
                    ),
                    "images_per_second": 4000.0,
                    "operations": 10**9 * epoch * (1 + key[-1] % 5),
                    "peak_memory_mb": 120.5,
                }
            )
        return rows

    def pruned(
        self,
        path: Path,
        name: str,
        seed: int,
        stage: str,
        accuracy: float,
        parameters: int,
    ) -> None:
        """One step's prune.json."""
        loop, step = stage.rpartition("_")[0], step_of(stage)
        last = self.plan.study.pruning[loop].steps
        write_json(
            path,
            {
                "loop": loop,
                "step": step,
                "criterion": "squares",
                "scope": "each",
                "layer": None,
                "removed": {"0": [0, 1]},
                "units": {"0": 16 - 2 * step},
                "before": self.accuracy(
                    name, seed, f"{loop}_{step - 1}" if step > 1 else "dense"
                ),
                "after_pruning": round(0.7 * accuracy, 6),
                "finetuned": accuracy,
                "parameters": parameters,
                "macs": parameters * 30,
                "dense_macs": 180_000,
                "next_layers": [] if step == last else ["0"],
                "finished": step == last,
                "provenance": stamped(self.plan.prune_job(loop, name, seed, step)),
            },
        )

    def evaluated(
        self,
        record: dict[str, Any],
        files: dict[str, Path],
        accuracy: float,
        key: tuple[int, ...],
    ) -> None:
        """predictions.npz, metrics.json and the line that says the test was opened."""
        arrays, parts = {}, {}
        for number, part in enumerate(("validation", "test")):
            rows = self.part(part)
            logits = self.logits(part, accuracy, *key, number)
            arrays[f"{part}_logits"] = logits
            arrays[f"{part}_labels"] = self.labels[rows]
            arrays[f"{part}_indices"] = rows
            parts[part] = score(
                logits, self.labels[rows], list(self.classes)
            ).model_dump()
        np.savez(files["predictions"], **arrays)
        name, seed, stage = record["variant"], record["seed"], record["stage"]
        write_json(
            files["metrics"],
            {
                "classes": list(self.classes),
                "parts": finite(parts),
                "test_openings": 1,
                "provenance": stamped(self.plan.evaluate_job(name, seed, stage)),
            },
        )
        line = {
            "who": f"{name}/seed{seed}/{stage}",
            "when": "2026-01-01",
            "images": TEST,
            "part": sha256(self.part("test").tobytes()).hexdigest(),
            "weights": sha256(files["model"].read_bytes()).hexdigest(),
        }
        with (self.root / self.plan.results / "test_openings.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def measured(
        self, record: dict[str, Any], path: Path, parameters: int, key: tuple[int, ...]
    ) -> None:
        """measure.json."""
        scale = 1 + np.random.default_rng(key).uniform()
        names = (f.name for f in fields(Quantities))
        total = dict.fromkeys((*names, "operations"), 0)
        total["multiplications"] = total["operations"] = parameters * 30
        shapes = {"input_shape": [1, 1, 8, 8], "output_shape": [1, 10]}
        write_json(
            path,
            {
                "parameters": parameters,
                "weight_bytes": parameters * 4,
                "activation_bytes": 20_000,
                "macs": parameters * 30,
                "operations": {
                    "layers": [{"name": "0", "kind": "Conv2d", **total, **shapes}],
                    "total": total,
                    "convention": asdict(CONVENTIONS["macs"]),
                    "dtype": "float32",
                    "uncounted": [],
                },
                "latency": [
                    {
                        "batch": batch,
                        "median_ms": scale * batch**0.5,
                        "q1_ms": scale * batch**0.5 * 0.95,
                        "q3_ms": scale * batch**0.5 * 1.1,
                        "n": 30,
                        "threads": 1,
                        "device": "cpu",
                    }
                    for batch in (1, 32)
                ],
                "provenance": stamped(
                    self.plan.measure_job(
                        record["variant"], record["seed"], record["stage"]
                    )
                ),
            },
        )

    def chosen(self, stage: str) -> None:
        """What the real `select` makes of the points' files."""
        from labmill.search.select import select

        job = stamped(self.plan.select_job(stage))
        runs = [
            asdict(run)
            | {
                "history": str(self.root / run.history),
                "description": str(self.root / run.description),
            }
            for run in point_runs(self.plan, stage, all_unfinished)
        ]
        out = self.root / self.plan.results / stage / "chosen.json"
        provenance = Provenance.model_validate(job)
        select(histories=runs, base=None, out=out, provenance=provenance)


def classes_of(plan: Plan) -> tuple[str, ...]:
    """The classes that a study keeps of its dataset."""
    data = plan.study.data
    if data.dataset == "digits":
        return CLASSES
    classes = tuple(registry.constant("data/datasets", data.dataset, "CLASSES"))
    kept = resolve_classes(classes, data.classes, data.roll_number)
    return tuple(classes[index] for index in kept)


def step_of(stage: str) -> int:
    """A prune step's number; 0 for a dense network and for the controls of a loop."""
    last = stage.rpartition("_")[2]
    return int(last) if last.isdigit() else 0


def table(rows: list[dict[str, Any]], columns: Iterable[str]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
