"""The results of one study: the one reader of its files, for claims and for the report.

Every number of a run knows its file and field (`Run.input`). Files are opened when first
asked for, and never changed.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from labmill.architecture_edits.records import ConfirmedRanking, EditRanking
from labmill.core.errors import LabmillError, suggest
from labmill.core.files import read_json
from labmill.data.records import SplitSummary
from labmill.evaluation.records import Metrics
from labmill.profiling.records import Measurement
from labmill.pruning.records import PruneRecord
from labmill.report.number_format import format_of
from labmill.report.report_inputs import Record, ReportFiles, ReportInputs
from labmill.report.runs import (
    FILES,
    R,
    ResultsFolder,
    Run,
    as_declared,
    load_record,
    read_runs,
)
from labmill.report.sweeps import labels_of, sweeps
from labmill.report.text import spaced
from labmill.search.records import SearchResult
from labmill.stats.looks import Look
from labmill.stats.runs import RunCheck, untrained
from labmill.stats.significance import Mean, mean_over_seeds
from labmill.study.metrics import metric
from labmill.study.result_numbers import fill_results
from labmill.study.schema import SeedRounds
from labmill.training.records import ModelDescription

DATED: tuple[type[ModelDescription | Metrics | Measurement], ...] = (
    ModelDescription,
    Metrics,
    Measurement,
)


class Rankings(NamedTuple):
    """Rankings of one variant's edits: proposed, and after brief trainings."""

    edits: EditRanking
    confirmed: ConfirmedRanking | None


class Step(NamedTuple):
    """A step of a prune loop."""

    seed: int
    made: PruneRecord


class ByEpoch(NamedTuple):
    """A metric that an earlier report printed by epoch, and ours.

    Attributes:
        label, column, title: the network's name, the metric's column and its name.
        theirs, ours: value by epoch.
    """

    label: str
    column: str
    title: str
    theirs: dict[int, float]
    ours: pd.Series


@dataclass(frozen=True, eq=False)
class StudyResults(ReportInputs):
    """One study's results.

    Attributes:
        study: the resolved study, as plain JSON values.
        rows: every stage of every run, in the plan's order.
        folder: where the results are now.
        summary: index.json.
        job: the report's job.
        files: what the report reads besides; None while claims are made.
    """

    study: Mapping[str, Any]
    rows: Sequence[Run]
    folder: ResultsFolder
    summary: Mapping[str, Any] = field(default_factory=dict)
    job: Mapping[str, Any] = field(default_factory=dict)
    files: ReportFiles | None = None

    @classmethod
    def read(
        cls,
        files: ReportFiles,
        job: Mapping[str, Any],
        rows: Sequence[Run] | None = None,
    ) -> "StudyResults":
        """Return a finished study's results; `rows` replaces reading the runs' files."""
        index = read_json(files.index)
        folder = ResultsFolder(files.index.parent, index["results"])
        study = as_declared(index["provenance"]["settings"]["study"])
        if rows is None:
            further = study.get("metrics", ())
            rows = read_runs(index["runs"], folder, further=further)
        return cls(
            study=study,
            rows=rows,
            folder=folder,
            summary=index,
            job=job,
            files=files,
        )

    @property
    def name(self) -> str:
        """The study's name."""
        return self.summary["study"]

    @property
    def scale(self) -> str:
        """`full`, `laptop` or `smoke`."""
        return self.summary.get("scale", "full")

    @property
    def pictures(self) -> Mapping[str, str]:
        """The author's pictures: path as it is written → SHA-256."""
        return self.summary["provenance"]["settings"].get("pictures", {})

    # --- runs ------------------------------------------------------------------------------

    @property
    def records(self) -> list[Record]:
        """One record per (variant, seed, stage), in the plan's order."""
        return self.summary["runs"]

    @cached_property
    def runs(self) -> dict[str, dict[int, Run]]:
        """Variant → seed → run, before pruning."""
        found: dict[str, dict[int, Run]] = {}
        for row in self.rows:
            if row.cells["kind"] == "variant" and row.stage == "dense":
                found.setdefault(row.variant, {})[row.seed] = row
        return found

    def usable(self, variant: str, column: str) -> dict[int, Run]:
        """Return a variant's runs that ended well and have that metric, by seed."""
        return {
            seed: row
            for seed, row in self.runs.get(variant, {}).items()
            if row.usable and column in row.cells
        }

    @cached_property
    def rounds(self) -> SeedRounds | None:
        """The rounds that added seeds, where results decided how many."""
        seeds = self.study["seeds"]
        return SeedRounds(**seeds) if isinstance(seeds, Mapping) else None

    @property
    def look(self) -> Look | None:
        """Which look at the results it is, where results decided the number of seeds."""
        if self.rounds is None:
            return None
        return Look(max(map(len, self.runs.values())), self.rounds.looks)

    @cached_property
    def repeated(self) -> dict[str, str]:
        """Variant → an earlier one that is the same: a search chose what that one has."""
        found: dict[str, str] = {}
        for variant, runs in self.runs.items():
            if not self.study["variants"].get(variant, {}).get("chosen"):
                continue
            mine = {seed: (row.settings, row.metrics) for seed, row in runs.items()}
            for other, others in self.runs.items():
                theirs = {s: (row.settings, row.metrics) for s, row in others.items()}
                if other != variant and other not in found and same(mine, theirs):
                    found[variant] = other
                    break
        return found

    @cached_property
    def untrained(self) -> dict[str, dict[int, RunCheck]]:
        """Variant → seed → why a run counts as untrained, of those that have such runs."""
        checks = {
            variant: {
                seed: untrained(run.metrics["parts"]["test"]["confusion"])
                for seed, run in self.usable(variant, "test_accuracy").items()
            }
            for variant in self.runs
        }
        found = {
            variant: {seed: one for seed, one in by_seed.items() if one.untrained}
            for variant, by_seed in checks.items()
        }
        return {variant: by_seed for variant, by_seed in found.items() if by_seed}

    def test_images(self, variant: str) -> int:
        """Return the number of test images."""
        runs = self.usable(variant, "test_n").values()
        return next((row.cells["test_n"] for row in runs), 0)

    @cached_property
    def variants(self) -> dict[str, str]:
        """Variant → label, in the order of the study file."""
        return {
            row.variant: row.cells["label"]
            for row in self.rows
            if row.cells["kind"] == "variant"
        }

    def label(self, variant: str) -> str:
        """Return a variant's name in the report."""
        return self.variants.get(variant, variant)

    @property
    def demonstrations(self) -> Sequence[str]:
        """The variants that show what goes wrong."""
        return (self.study.get("lessons") or {"variants": ()})["variants"]

    @property
    def ranked(self) -> list[str]:
        """The variants that are candidates for being best.

        Not demonstrations and their reference, unless a question names it; not
        repetitions of another variant; not those of a question over label counts, which
        is answered at each count; not those that learn from fewer labels.
        """
        apart = {*self.demonstrations, *self.repeated}
        if lessons := self.study.get("lessons"):
            questions = self.study["compare"].values()
            asked = {
                v for q in questions for level in q["levels"].values() for v in level
            }
            apart |= {lessons["reference"]} - asked
        for sweep in sweeps(self.study):
            apart.update(*sweep.levels.values())
        labels = {
            variant: labels_of(self.study, variant) or float("inf")
            for variant in self.runs
            if variant in self.study["variants"]
        }
        most = max(labels.values(), default=None)
        return [
            variant
            for variant in self.runs
            if variant not in apart and labels.get(variant, most) == most
        ]

    @cached_property
    def best(self) -> str | None:
        """The variant with the highest mean validation accuracy: chosen unseen."""
        means = {
            v: m.estimate
            for v in self.variants
            if v not in self.demonstrations
            and (
                m := self.mean(v, "validation_accuracy")
                or self.mean(v, "test_accuracy")
            )
        }
        return max(means, key=means.__getitem__) if means else None

    def of_kind(self, kind: str) -> list[Run]:
        """Return the runs of a kind: `variant`, `pretext`, `point`."""
        return [run for run in self.rows if run.kind == kind]

    def stages(self, variant: str, stage: str = "dense") -> list[Run]:
        """Return one stage of a variant, one run per seed."""
        return [
            run
            for run in self.of_kind("variant")
            if (run.variant, run.stage) == (variant, stage)
        ]

    def sound(self, variant: str, stage: str = "dense") -> list[Run]:
        """Return those that ended well: no mean and no count contains the others."""
        return [run for run in self.stages(variant, stage) if run.usable]

    def first(self, variant: str, kind: type[R]) -> R | None:
        """Return a record of the first usable run of a variant that has it."""
        found = (run.read(kind) for run in self.sound(variant))
        return next((one for one in found if one), None)

    def analysed_runs(self, kind: type[R]) -> Iterator[tuple[Run, R]]:
        """Yield the first usable run of each analysed variant, and its analysis."""
        asked = self.study.get(FILES[kind]) or {"variants": ()}
        for name in asked["variants"]:
            found = (
                (run, record)
                for run in self.rows
                if run.variant == name and run.usable and (record := run.read(kind))
            )
            yield from islice(found, 1)

    @cached_property
    def guessing(self) -> float | None:
        """The test accuracy of the best constant answer."""
        for run in self.of_kind("variant"):
            if metrics := run.read(Metrics):
                counts = [sum(row) for row in metrics.parts.test.confusion]
                return max(counts) / sum(counts)
        return None

    @cached_property
    def split_summary(self) -> SplitSummary | None:
        """split.json, of the first split where each seed has its own."""
        path = self.path(f"{self.folder.planned}/split.json")
        return None if path is None else load_record(SplitSummary, path)

    @cached_property
    def overlap(self) -> float:
        """Images held out per training image if each seed has its split, else 0."""
        summary = self.split_summary
        if not self.study["data"].get("split_seeds") or summary is None:
            return 0.0
        held = summary.sizes["validation"]
        held += 0 if summary.official_test else summary.sizes["test"]
        return held / summary.sizes["train"]

    # --- numbers ---------------------------------------------------------------------------

    def values(self, variant: str, column: str, stage: str = "dense") -> list[float]:
        """Return one metric of a variant, one value per usable seed that has it."""
        found = (
            row.value(column)
            for row in self.rows
            if (row.variant, row.stage) == (variant, stage) and row.usable
        )
        return [value for value in found if value is not None]

    def mean(self, variant: str, column: str, stage: str = "dense") -> Mean | None:
        """Return mean and interval of a metric over a variant's seeds, or None."""
        values = self.values(variant, column, stage)
        share = metric(column).unit == "%"
        if not values:
            return None
        return mean_over_seeds(values, share=share, overlap=self.overlap)

    def filled(self, text: str, where: str) -> str:
        """Return the author's text at a key of the study with its numbers."""

        def number(variant: str, column: str) -> str:
            return format_of(column)(self.result(variant, column, where))

        return fill_results(text, number, where)

    def question(self, name: str) -> str:
        """Return a question of `compare` as its author words it, else its name."""
        text = self.study["compare"][name]["question"] or spaced(name).capitalize()
        return self.filled(text, f"compare.{name}.question")

    def result(self, variant: str, column: str, where: str) -> float:
        """Return a metric by name; `where`: for the message."""
        if variant not in self.variants:
            known = suggest(variant, self.variants)
            raise LabmillError(f"{where}: no variant {variant!r}; {known}")
        numbers = dict.fromkeys(
            key for row in self.rows for key in row.cells if row.value(key) is not None
        )
        if column not in numbers and not any(column in r.settings for r in self.rows):
            near = difflib.get_close_matches(column, numbers, n=6, cutoff=0)
            raise LabmillError(
                f"{where}: no metric {column!r}; the nearest are {', '.join(near)} (all "
                "are columns of runs.csv)"
            )
        mean = self.mean(variant, column)
        if mean is None:
            raise LabmillError(f"{where}: {variant} has no {column}")
        return mean.estimate

    # --- files of runs ---------------------------------------------------------------------

    def path(self, planned: str | None) -> Path | None:
        """Return a file of the plan where it is now, or None where the run has none."""
        found = self.folder.path(planned) if planned else None
        return found if found and found.is_file() and found.stat().st_size else None

    def epochs(self, name: str) -> pd.DataFrame:
        """Return means over the seeds of a variant's or pretext's epochs, by epoch."""
        found = [
            history
            for run in self.rows
            if run.variant == name and run.stage in ("dense", "pretext")
            if len(history := run.rows())
        ]
        if not found:
            return pd.DataFrame()
        return pd.concat(found).groupby("epoch").mean(numeric_only=True)

    def published_epochs(self) -> Iterator[ByEpoch]:
        """Yield published metrics by epoch that ours can be compared with.

        Runs see no test images before their end: next to a published test metric is ours
        on validation images, and the title says so.
        """
        labels = {run.variant: run.label for run in self.rows}
        history = (self.study["published"] or {}).get("history", {})
        for name, columns in history.items():
            epochs = self.epochs(name)
            for column, values in columns.items():
                mine = column.replace("test_", "validation_")
                if mine not in epochs or epochs[mine].isna().all():
                    continue
                title = metric(column).title
                title += " (ours: validation)" if mine != column else ""
                theirs = {
                    int(epoch): values[epoch] for epoch in sorted(values, key=int)
                }
                ours = epochs[mine].dropna()
                yield ByEpoch(labels[name], column, title, theirs, ours)

    @cached_property
    def searches(self) -> dict[str, SearchResult]:
        """Search → chosen.json, of those that ended."""
        planned = self.summary.get("searches", {})
        paths = {name: self.path(at) for name, at in planned.items()}
        return {n: load_record(SearchResult, path) for n, path in paths.items() if path}

    @cached_property
    def rankings(self) -> dict[str, Rankings]:
        """Variant → rankings of its edits, as proposed and as confirmed."""
        found = {}
        for variant, files in self.summary.get("edits", {}).items():
            proposed, tried = (self.path(files.get(k)) for k in ("edits", "confirmed"))
            if proposed:
                found[variant] = Rankings(
                    load_record(EditRanking, proposed),
                    load_record(ConfirmedRanking, tried) if tried else None,
                )
        return found

    @cached_property
    def pruned(self) -> dict[str, dict[str, list[Step]]]:
        """Loop → variant → all usable steps of all seeds."""
        loops: dict[str, dict[str, list[Step]]] = {}
        for run in self.rows:
            if run.usable and (made := run.read(PruneRecord)):
                by_variant = loops.setdefault(made.loop, {})
                by_variant.setdefault(run.variant, []).append(Step(run.seed, made))
        return loops

    @cached_property
    def date(self) -> str:
        """The day of the newest result: a report built again has the same."""
        dates = [
            found.provenance.date
            for run in self.rows
            for found in map(run.read, DATED)
            if found
        ]
        return max(dates, default=self.job["date"])[:10]

    @cached_property
    def answers(self) -> list[str]:
        """What a network can predict: the classes, and "neither" of sequences."""
        found = (run.read(Metrics) for run in self.of_kind("variant"))
        return next((one.classes for one in found if one), self.classes)


def same(mine: Mapping[int, Any], theirs: Mapping[int, Any]) -> bool:
    """Return True if two variants have the same seeds, settings and scores."""
    return mine.keys() == theirs.keys() and all(
        settings == theirs[seed][0]
        and scores.get("parts")
        and scores["parts"] == theirs[seed][1].get("parts")
        for seed, (settings, scores) in mine.items()
    )
