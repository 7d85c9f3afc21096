"""Small random studies in memory, for the claims alone: no file, no training."""

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from labmill.core.files import finite
from labmill.evaluation.metrics import score
from labmill.report.results import StudyResults
from labmill.report.runs import ResultsFolder, Run
from labmill.study.schema import Study

CLASSES = tuple("abcde")
IMAGES = 120
LABELS = np.arange(IMAGES) % len(CLASSES)
METRICS = ("test_accuracy", "test_macro_f1", "test_loss")


@dataclass
class MemoryRun(Run):
    """A run whose predictions are in memory."""

    arrays: bytes = b""

    def path(self, file: str) -> Any:
        return io.BytesIO(self.arrays) if file == "predictions" else None


@dataclass
class RandomStudy:
    """A study drawn by number: variants, spreads, lost and stuck runs, questions."""

    number: int
    generator: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.generator = np.random.default_rng(self.number)

    def results(self) -> StudyResults:
        """Its results, as the claims see them."""
        draw = self.generator
        names = [f"v{i}" for i in range(draw.integers(1, 7))]
        seeds = int(draw.choice([1, 2, 3, 3, 4, 5, 5, 8]))
        level = draw.choice([0.3, 0.7, 0.97])
        equal = draw.random() < 0.3
        ease = draw.normal(size=IMAGES)
        loops = {"prune": {"variants": ["v0"]}} if draw.random() < 0.4 else {}
        rows: list[Run] = []
        for name in names:
            mean = level + (0 if equal else draw.normal() * draw.choice([0.01, 0.1]))
            spread = draw.choice([0, 0.003, 0.02, 0.15])
            for seed in range(seeds):
                lost = draw.random() < 0.04
                stuck = draw.random() < 0.04
                accuracy = mean + spread * draw.normal()
                accuracy = float(np.clip(0.2 if stuck else accuracy, 0.2, 1.0))
                rows.append(self.run(name, seed, "dense", accuracy, ease, lost))
                if loops and name == "v0" and not lost:
                    rows += self.pruned(name, seed, accuracy, ease)
        study = self.study(names, seeds, loops)
        folder = ResultsFolder(Path("nowhere"), "results/random")
        return StudyResults(study, rows, folder, {"scale": "full", "searches": {}})

    def study(self, names: list[str], seeds: int, loops: dict[str, Any]) -> Any:
        """Its resolved study file."""
        draw = self.generator
        questions = {}
        for position in range(draw.integers(0, 3)):
            size = int(draw.integers(1, 3))
            if len(names) < 2 * size:
                continue
            picked = draw.permutation(names)[: 2 * size].tolist()
            metrics = draw.permutation(METRICS)[: draw.integers(1, 4)].tolist()
            questions[f"q{position}"] = {
                "levels": {"old": picked[:size], "new": picked[size:]},
                "metric": metrics if len(metrics) > 1 else metrics[0],
            }
        declared = {
            "title": "Random",
            "seeds": list(range(seeds)),
            "margin": float(draw.choice([0.01, 0.05])),
            "variants": {name: {"label": f"Variant {name}"} for name in names},
            "compare": questions,
            "pruning": loops,
        }
        return Study.model_validate_json(json.dumps(declared)).model_dump(mode="json")

    def run(
        self,
        name: str,
        seed: int,
        stage: str,
        accuracy: float,
        ease: np.ndarray,
        lost: bool = False,
        **cells: float,
    ) -> Run:
        """One network that is right on that share of the images, easy ones first."""
        draw = self.generator
        files = dict.fromkeys(("metrics", "predictions", "history", "prune"), "file")
        identity = {"variant": name, "label": f"Variant {name}", "kind": "variant"}
        record = {**identity, "seed": seed, "stage": stage, "files": files}
        row = MemoryRun(record, {**identity, "seed": seed, "stage": stage})
        row.cells |= {"status": "failed" if lost else "completed", "reason": "lost"}
        if lost:
            return row
        order = np.argsort(np.argsort(ease + 0.5 * draw.normal(size=IMAGES)))
        right = order < round(accuracy * IMAGES)
        wrong = (LABELS + draw.integers(1, len(CLASSES), IMAGES)) % len(CLASSES)
        if accuracy <= 0.2:
            right, wrong = LABELS == 0, np.zeros(IMAGES, int)
        logits = np.zeros((IMAGES, len(CLASSES)))
        logits[np.arange(IMAGES), np.where(right, LABELS, wrong)] = 4
        packed = io.BytesIO()
        np.savez(packed, test_logits=logits, test_labels=LABELS)
        row.arrays = packed.getvalue()
        scores = finite(score(logits, LABELS, list(CLASSES)).model_dump())
        row.metrics = {"classes": list(CLASSES), "parts": {"test": scores}}
        for metric, value in scores.items():
            if isinstance(value, int | float):
                row.put(f"test_{metric}", value, "metrics", metric)
        for metric, value in scores["class_accuracy"].items():
            row.put(f"class_accuracy.{metric}", value, "metrics", metric)
        row.put("validation_n", IMAGES, "metrics", "n")
        for metric, value in cells.items():
            row.put(metric, value, "prune", metric)
        return row

    def pruned(
        self, name: str, seed: int, accuracy: float, ease: np.ndarray
    ) -> list[Run]:
        """The steps of a prune loop, that costs more and more."""
        draw, before, rows = self.generator, accuracy, []
        for step in range(1, int(draw.integers(2, 5))):
            after = before - abs(draw.normal()) * draw.choice([0.002, 0.01, 0.03])
            cells = {"before": before, "finetuned": after, "dense_macs": 1000.0}
            cells["macs"] = 1000 * 0.7**step
            rows.append(
                self.run(name, seed, f"prune_{step}", max(0.25, after), ease, **cells)
            )
            before = after
        return rows
