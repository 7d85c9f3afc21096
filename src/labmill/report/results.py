"""What a report is made of: the files of one study, opened when first asked for."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from labmill.errors import LabmillError, suggest
from labmill.evaluation.statistics import Mean, mean_over_seeds
from labmill.report.pool import Pool
from labmill.report.read import UNUSABLE, Place, as_declared
from labmill.report.text import format_for, percent, title
from labmill.runtime import read_json


class ByEpoch(NamedTuple):
    """A figure that an earlier report printed by epoch, and ours.

    Attributes:
        label, column, title: the network's name, the figure's column and its name.
        theirs, ours: value by epoch.
    """

    label: str
    column: str
    title: str
    theirs: dict[int, float]
    ours: pd.Series


@dataclass(frozen=True)
class Results:
    """One study's results. Files are read once and never changed.

    Attributes:
        job: the report's job.
        index, runs, claims, split, card, images, labels, split_npz: files (see
            docs/architecture.md).
    """

    job: dict[str, Any]
    index: Path
    runs: Path
    claims: Path
    split: Path
    card: Path
    images: Path
    labels: Path
    split_npz: Path

    def __hash__(self) -> int:
        return id(self)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """index.json."""
        return read_json(self.index)

    @property
    def name(self) -> str:
        """The study's name."""
        return self.summary["study"]

    @property
    def scale(self) -> str:
        """`full`, `laptop` or `smoke`."""
        return self.summary["scale"]

    @cached_property
    def study(self) -> dict[str, Any]:
        """The resolved study, as plain JSON values."""
        return as_declared(self.summary["provenance"]["settings"]["study"])

    @property
    def records(self) -> list[dict[str, Any]]:
        """One record per (entry, seed, stage), in the plan's order."""
        return self.summary["runs"]

    @property
    def place(self) -> Place:
        """Where the results are now."""
        return Place(self.index.parent, self.summary["results"])

    def path(self, planned: str | None) -> Path | None:
        """A file of the plan where it is now, or None where the run has none."""
        if not planned:
            return None
        found = self.place.path(planned)
        return found if found.is_file() and found.stat().st_size else None

    @cached_property
    def table(self) -> pd.DataFrame:
        """runs.csv."""
        return pd.read_csv(self.runs)

    @cached_property
    def statements(self) -> list[dict[str, Any]]:
        """The claims."""
        return read_json(self.claims)

    @cached_property
    def numbered(self) -> list[dict[str, Any]]:
        """The claims, each with the number that the document gives it."""
        return [
            claim | {"number": number, "statement_number": f"C{number}"}
            for number, claim in enumerate(self.statements, 1)
        ]

    @cached_property
    def facts(self) -> dict[str, Any]:
        """split.json."""
        return read_json(self.split)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Part of the split → number of images, empty parts left out."""
        parts = self.facts["counts"]
        sizes = {
            part: sum(found.values() if isinstance(found, dict) else found)
            for part, found in parts.items()
        }
        return {part: n for part, n in sizes.items() if n}

    @property
    def slurm(self) -> str:
        """How a training job is asked for on a cluster, in lines of a batch script."""
        return self.job["settings"].get("slurm", "")

    @cached_property
    def dataset(self) -> dict[str, Any]:
        """card.json."""
        return read_json(self.card)

    @cached_property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the new labels."""
        return [str(name) for name in self.facts["classes"]]

    @cached_property
    def answers(self) -> list[str]:
        """What a network can say: the classes, and of sequences that it is neither."""
        for record in self.of_kind("variant"):
            if metrics := self.open(record, "metrics"):
                return metrics["classes"]
        return self.classes

    @cached_property
    def pool(self) -> Pool:
        """All images, uint8 (N, channels, height, width)."""
        return Pool(self.images)

    @property
    def sequential(self) -> bool:
        """Whether the data are sequences of tokens, kept as grey values."""
        return bool(self.dataset.get("vocabulary"))

    @property
    def thing(self) -> str:
        """What the networks are given, in one word."""
        return "sequence" if self.sequential else "image"

    @property
    def things(self) -> str:
        """The same, of many."""
        return f"{self.thing}s"

    @cached_property
    def parts(self) -> dict[str, np.ndarray]:
        """split.npz: indices by part, and the labels that may be seen."""
        with np.load(self.split_npz) as file:
            return dict(file)

    @cached_property
    def variants(self) -> dict[str, str]:
        """Variant → label, in the order of the study file."""
        return {r["variant"]: r["label"] for r in self.of_kind("variant")}

    def label(self, variant: str) -> str:
        """A variant's name in the report."""
        return self.variants.get(variant, variant)

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """The index's records of a kind: `variant`, `pretext`, `point`."""
        return [record for record in self.records if record["kind"] == kind]

    def stages(self, variant: str, stage: str = "dense") -> list[dict[str, Any]]:
        """The records of one stage of a variant, one per seed."""
        return [
            record
            for record in self.of_kind("variant")
            if record["variant"] == variant and record["stage"] == stage
        ]

    def sound(self, variant: str, stage: str = "dense") -> list[dict[str, Any]]:
        """Those of them that ended well: no mean and no count contains the others."""
        found = self.stages(variant, stage)
        return [record for record in found if record["status"] not in UNUSABLE]

    def open(self, record: dict[str, Any], file: str) -> dict[str, Any] | None:
        """A record's JSON file, or None where the run has none."""
        path = self.path(record["files"].get(file))
        return load_json(path) if path else None

    def history(self, record: dict[str, Any], file: str = "history") -> pd.DataFrame:
        """A record's epochs (or `batches`), empty where the run has none."""
        path = self.path(record["files"].get(file))
        return pd.read_csv(path) if path else pd.DataFrame()

    def epochs(self, name: str) -> pd.DataFrame:
        """Means over the seeds of a variant's or pretext's epochs, indexed by epoch."""
        found = [
            history
            for record in self.records
            if record["variant"] == name and record["stage"] in ("dense", "pretext")
            if len(history := self.history(record))
        ]
        if not found:
            return pd.DataFrame()
        return pd.concat(found).groupby("epoch").mean(numeric_only=True)

    def published_epochs(self) -> Iterator[ByEpoch]:
        """Published figures by epoch that ours can stand beside.

        Runs see no test images before their end: beside a published test figure stands
        ours on validation images, and the title says so.
        """
        labels = {record["variant"]: record["label"] for record in self.records}
        history = (self.study["published"] or {}).get("history", {})
        for name, columns in history.items():
            epochs = self.epochs(name)
            for column, values in columns.items():
                mine = column.replace("test_", "validation_")
                if mine not in epochs or epochs[mine].isna().all():
                    continue
                said = title(column) + (" (ours: validation)" if mine != column else "")
                theirs = {
                    int(epoch): values[epoch] for epoch in sorted(values, key=int)
                }
                ours = epochs[mine].dropna()
                yield ByEpoch(labels[name], column, said, theirs, ours)

    def predictions(self, record: dict[str, Any]) -> dict[str, np.ndarray] | None:
        """A record's logits, labels and indices by part, or None."""
        path = self.path(record["files"].get("predictions"))
        if path is None:
            return None
        with np.load(path) as file:
            return dict(file)

    def values(self, variant: str, column: str, stage: str = "dense") -> list[float]:
        """One figure of a variant, one value per seed that ended well and has it."""
        rows = self.table
        if column not in rows:
            return []
        chosen = rows[
            (rows["variant"] == variant)
            & (rows["stage"] == stage)
            & ~rows["status"].isin(UNUSABLE)
        ]
        return pd.to_numeric(chosen[column], errors="coerce").dropna().tolist()

    def mean(self, variant: str, column: str, stage: str = "dense") -> Mean | None:
        """Mean and interval of a figure over a variant's seeds, or None."""
        values = self.values(variant, column, stage)
        share = format_for(column) is percent
        return mean_over_seeds(values, share=share) if values else None

    def result(self, variant: str, column: str, where: str) -> float:
        """A figure by name, for the author's own words; `where`: for the message."""
        if variant not in self.variants:
            known = suggest(variant, self.variants)
            raise LabmillError(f"{where}: no variant {variant!r}; {known}")
        if column not in self.table:
            numbers = self.table.select_dtypes("number").columns
            near = difflib.get_close_matches(column, numbers, n=6, cutoff=0)
            raise LabmillError(
                f"{where}: no figure {column!r}; the nearest are {', '.join(near)} (all "
                "are columns of runs.csv)"
            )
        mean = self.mean(variant, column)
        if mean is None:
            raise LabmillError(f"{where}: {variant} has no {column}")
        return mean.estimate

    @cached_property
    def best(self) -> str | None:
        """The variant with the highest mean validation accuracy: chosen unseen.

        Of those that are not there to show what goes wrong.
        """
        lessons = self.study.get("lessons") or {"variants": ()}
        means = {
            v: m.estimate
            for v in self.variants
            if v not in lessons["variants"]
            and (
                m := self.mean(v, "validation_accuracy")
                or self.mean(v, "test_accuracy")
            )
        }
        return max(means, key=means.__getitem__) if means else None

    @cached_property
    def searches(self) -> dict[str, dict[str, Any]]:
        """Search → chosen.json."""
        found = {name: self.path(at) for name, at in self.summary["searches"].items()}
        return {name: load_json(path) for name, path in found.items() if path}

    @cached_property
    def pruned(self) -> dict[str, dict[str, list[dict[str, Any]]]]:
        """Loop → variant → prune.json of all steps and seeds that ended well, with `seed`."""
        loops: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for record in self.of_kind("variant"):
            if record["status"] in UNUSABLE:
                continue
            if step := self.open(record, "prune"):
                by_variant = loops.setdefault(step["loop"], {})
                steps = by_variant.setdefault(record["variant"], [])
                steps.append(step | {"seed": record["seed"]})
        return loops

    @cached_property
    def date(self) -> str:
        """The day of the newest result: a report built again has the same."""
        dates = [
            found["provenance"]["date"]
            for record in self.records
            for file in ("description", "metrics", "measure")
            if (found := self.open(record, file)) and "provenance" in found
        ]
        return max(dates, default=self.job["date"])[:10]


@cache
def load_json(path: Path) -> dict[str, Any]:
    """A JSON file, read once per process."""
    return read_json(path)
