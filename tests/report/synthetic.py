"""Results in the documented formats, drawn from known true accuracies, without training.

The study file is real, and so are its plan, its index and its jobs' records.
"""

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from labmill.closing import summarize_job
from labmill.evaluation.metrics import score
from labmill.fingerprint import digest
from labmill.index import point_runs, results_index
from labmill.job import Job
from labmill.plan import Plan
from labmill.runtime import finite, write_json

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
    diverged: bool = False,
    failed: bool = False,
    search: bool = False,
    true: dict[str, float] | None = None,
    changes: dict[str, Any] | None = None,
    name: str = "synthetic",
    scale: str = "full",
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Write all that stands before `summarize` below `root`; return its job and index.

    Paths in the index are relative to `root`. diverged: run vit_sin_tanh, last seed;
    failed: run vit_learn_tanh, last seed, left no files; search: a search of 12 points;
    true: true test accuracies; changes: laid over the study, key by key.
    """
    study = (
        STUDY | {"seeds": list(range(seeds))} | ({"search": SEARCH} if search else {})
    )
    study |= changes or {}
    path = root / "studies" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    plan = Plan(path, scale)
    writer = Writer(root, plan, TRUE | (true or {}))
    writer.dataset()
    index = results_index(plan, lambda *_: {"finished": False})
    for record in index:
        if record["kind"] == "search":
            writer.chosen(record["stage"])
            continue
        at = (record["variant"], record["seed"], record["stage"])
        last = record["seed"] == seeds - 1 and record["stage"] == "dense"
        writer.run(record, diverged and last and at[0] == "vit_sin_tanh")
        record["log"] = f"logs/train/{plan.place}.{at[0]}.seed{at[1]}.log"
        if failed and last and at[0] == "vit_learn_tanh":
            shutil.rmtree(root / record["folder"])
            log = root / record["log"]
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text("12:00:01 epoch 1\n12:00:09 Error: out of memory\n")
            record["files"] = {
                key: None if key == "predictions" else path
                for key, path in record["files"].items()
            }
    return stamped(summarize_job(plan)), index


def stamped(job: Job) -> dict[str, Any]:
    """A job's record as `labmill.runtime.provenance` gives it, on a machine of glass."""
    return job.record | {
        "fingerprint": digest(job.record),
        "versions": {"torch": "2.15.0", "numpy": "2.4.0", "labmill": "0.1.0"},
        "machine": {
            "processor": "Glass",
            "cores": 2,
            "system": "Linux",
            "python": "3.11",
        },
        "device": "cpu",
        "threads": 1,
        "date": "2026-01-01T00:00:00+00:00",
    }


class Writer:
    """Writes one study's files, all drawn from generators seeded by name."""

    def __init__(self, root: Path, plan: Plan, true: dict[str, float]) -> None:
        self.root, self.plan, self.true = root, plan, true
        generator = np.random.default_rng(7)
        self.labels = generator.integers(0, 10, POOL)
        self.indices = generator.permutation(POOL)
        self.ease = generator.normal(size=POOL)

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
        write_json(
            folder / "card.json",
            {
                "name": "digits",
                "arguments": {},
                "source": "drawn",
                "digest": "0" * 64,
                "digests": {},
                "classes": list(CLASSES),
                "image_size": 8,
                "channels": 1,
                "official": {"train": POOL, "test": 0},
                "class_counts": {
                    "train": np.bincount(self.labels).tolist(),
                    "test": [0] * 10,
                },
                "mean": [0.5],
                "std": [0.29],
            },
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
        write_json(
            results / "split.json",
            {
                "classes": list(CLASSES),
                "mapping": {str(k): k for k in range(10)},
                "counts": {
                    name: dict(
                        zip(
                            CLASSES,
                            np.bincount(self.labels[part]).tolist(),
                            strict=True,
                        )
                    )
                    for name, part in parts.items()
                },
                "duplicates": {},
                "provenance": stamped(self.plan.split_job()),
            },
        )

    def accuracy(self, name: str, seed: int, stage: str) -> float:
        """The run's true accuracy: the recipe's, the pruning's loss, the seed's luck."""
        step = step_of(stage)
        luck = np.random.default_rng([seed, *name.encode()]).normal() * SPREAD
        return float(
            np.clip(self.true.get(name, 0.9) - 0.004 * step**2 + luck, 0.1, 0.999)
        )

    def logits(self, part: str, accuracy: float, *key: int) -> np.ndarray:
        """Logits whose images are right at that rate; easy images are so in every run."""
        generator = np.random.default_rng(key)
        rows = self.part(part)
        luck = 0.8 * self.ease[rows] + 0.6 * generator.normal(size=len(rows))
        order = np.argsort(np.argsort(-luck))
        right = order < round(accuracy * len(rows))
        labels = self.labels[rows]
        others = (labels + generator.integers(1, 10, len(rows))) % 10
        logits = generator.normal(size=(len(rows), 10)).astype(np.float32)
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
        files["model"].write_bytes(b"weights of " + digest(list(key)).encode())
        rows = self.history(accuracy, key, diverged)
        files["history"].write_text(table(rows))
        if "batches" in files:
            steps = [{"epoch": 1, "step": 50, "images": 1600, "loss": 1.5}]
            files["batches"].write_text(table(steps))
        write_json(
            files["description"],
            {
                **self.plan.entry(name).model.model_dump(mode="json"),
                "num_classes": 10,
                "image_size": 8,
                "in_channels": 1,
                "training": {
                    "status": "diverged" if diverged else "completed",
                    "parameters": parameters,
                    **({} if stage == "dense" else {"macs": parameters * 30}),
                    "epochs": len(rows),
                    "seconds": rows[-1]["seconds"],
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
            self.pruned(files["prune"], name, seed, step, accuracy, parameters)
        if "metrics" in files:
            self.evaluated(record, files, accuracy, key)
        if "measure" in files:
            self.measured(record, files["measure"], parameters, key)

    def history(
        self, accuracy: float, key: tuple[int, ...], diverged: bool
    ) -> list[dict[str, Any]]:
        """One row per epoch; a diverged run ends after the third."""
        rows = []
        generator = np.random.default_rng(key)
        for epoch in range(1, (3 if diverged else EPOCHS) + 1):
            share = accuracy * (1 - 0.5**epoch)
            broken = diverged and epoch == 3
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
        step: int,
        accuracy: float,
        parameters: int,
    ) -> None:
        """One step's prune.json."""
        write_json(
            path,
            {
                "loop": "prune",
                "step": step,
                "criterion": "squares",
                "scope": "each",
                "layer": None,
                "removed": {"0": [0, 1]},
                "units": {"0": 16 - 2 * step},
                "before": self.accuracy(
                    name, seed, f"prune_{step - 1}" if step > 1 else "dense"
                ),
                "after_pruning": round(0.7 * accuracy, 6),
                "finetuned": accuracy,
                "parameters": parameters,
                "macs": parameters * 30,
                "dense_macs": 180_000,
                "next_layers": [] if step == 3 else ["0"],
                "finished": step == 3,
                "provenance": stamped(self.plan.prune_job("prune", name, seed, step)),
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
            parts[part] = score(logits, self.labels[rows], list(CLASSES))
        np.savez(files["predictions"], **arrays)
        name, seed, stage = record["variant"], record["seed"], record["stage"]
        write_json(
            files["metrics"],
            {
                "classes": list(CLASSES),
                "parts": finite(parts),
                "test_openings": 1,
                "provenance": stamped(self.plan.evaluate_job(name, seed, stage)),
            },
        )
        line = {
            "who": f"{name}/seed{seed}/{stage}",
            "when": "2026-01-01",
            "images": TEST,
            "part": "0",
            "weights": "0",
        }
        with (self.root / self.plan.results / "test_openings.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def measured(
        self, record: dict[str, Any], path: Path, parameters: int, key: tuple[int, ...]
    ) -> None:
        """measure.json."""
        scale = 1 + np.random.default_rng(key).uniform()
        total = {"operations": parameters * 30, "macs": parameters * 30}
        write_json(
            path,
            {
                "parameters": parameters,
                "weight_bytes": parameters * 4,
                "activation_bytes": 20_000,
                "macs": parameters * 30,
                "operations": {
                    "layers": [{"name": "0", "kind": "Conv2d", **total}],
                    "total": total,
                    "convention": {"name": "macs"},
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
            run | {key: str(self.root / run[key]) for key in ("history", "description")}
            for run in point_runs(self.plan, stage)
        ]
        out = self.root / self.plan.results / stage / "chosen.json"
        select(job["settings"], histories=runs, base=None, out=out, provenance=job)


def step_of(stage: str) -> int:
    """A prune step's number; 0 for a dense network and for the controls of a loop."""
    last = stage.rpartition("_")[2]
    return int(last) if last.isdigit() else 0


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
