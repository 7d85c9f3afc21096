"""A study becomes jobs: what each runs, depends on, and is out of date against.

Pure Python over the checked study: neither torch nor numpy, since Snakemake parses the
workflow again in every cluster job.
"""

import itertools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from labmill import registry
from labmill.check import check_data, check_model, check_references
from labmill.errors import LabmillError, suggest
from labmill.fingerprint import canonical, code_fingerprints, digest
from labmill.loading import SCALES, load_study, resolve_model, resolve_training
from labmill.reading import merged
from labmill.study import (
    Choice,
    Defaults,
    Model,
    Pruning,
    Run,
    Search,
    Start,
    Study,
    Training,
    Variant,
)

# Whether a step of a prune loop was its last: (loop, variant, seed, step) -> bool.
Finished = Callable[[str, str, "int | str", int], bool]


@dataclass(frozen=True)
class Job:
    """One job's params: all that its result depends on, and nothing else.

    Attributes:
        kind: the rule.
        settings: what the study says, as plain JSON values.
        modules: modules of this package that the job starts from.
        libraries: installed libraries that decide its numbers.
        consumes: what it reads from other jobs: label → fingerprint.
    """

    kind: str
    settings: dict[str, Any]
    modules: tuple[str, ...]
    libraries: tuple[str, ...] = ()
    consumes: dict[str, str] = field(default_factory=dict)

    @cached_property
    def record(self) -> dict[str, Any]:
        """Settings, code and consumed fingerprints: kept in the job's output too."""
        code = code_fingerprints(f"labmill.{module}" for module in self.modules)
        code |= {name: version(name) for name in self.libraries}
        return {
            "kind": self.kind,
            "settings": self.settings,
            "code": code,
            "consumes": self.consumes,
        }

    @cached_property
    def params(self) -> str:
        """The record as canonical text: Snakemake reruns the job when it changes."""
        return canonical(self.record)

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits over the params."""
        return digest(self.record)


@dataclass(frozen=True)
class Entry:
    """Something that is trained: a declared variant, a search point, a pretext.

    `chosen` settings, found by a search, are laid over `model` and `training` when the
    job runs, except for the keys in `fixed`, which the variant itself sets.
    """

    name: str
    kind: str
    label: str
    model: Model
    training: Training
    seeds: tuple[int, ...]
    task: str = "classification"
    start: Start | None = None
    chosen: Choice | None = None
    fixed: tuple[str, ...] = ()
    test_flip: bool = False


class Plan:
    """All jobs of one study at one scale.

    Args:
        path: the study file.
        scale: `full`, `laptop` or `smoke`.

    Raises:
        LabmillError: the file is wrong; nothing was started.
    """

    def __init__(self, path: str | Path, scale: str = "full") -> None:
        self.path = Path(path)
        self.scale = scale
        self.name = self.path.stem
        study, self.source = load_study(path, scale)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name) or self.name in SCALES:
            raise LabmillError(
                f"{path}: a study's file name is lower-case letters, digits and _, "
                f"and none of: {', '.join(SCALES)}"
            )
        self.study: Study = study
        check_references(study, self.source)
        self.facts = check_data(study.data, self.source)
        self.place = self.name if scale == "full" else f"{scale}/{self.name}"
        self.entries: dict[str, Entry] = {}
        self._declare()

    # --- what is trained -----------------------------------------------------------

    def _declare(self) -> None:
        for name, pretext in self.study.pretexts.items():
            self._add(self._resolved(name, "pretext", pretext, task=pretext.task))
        selected = self.study.run or tuple(self.study.variants)
        needed = {self.study.search[s].variant for s in self.study.search}
        for name, variant in self.study.variants.items():
            if name in selected:
                self._add(self._variant(name, variant))
            elif name in needed:
                self._variant(name, variant)
        for stage, search in self.study.search.items():
            for entry in self._points(stage, search):
                self._add(entry)

    def _add(self, entry: Entry) -> None:
        if entry.name in self.entries:
            raise LabmillError(
                f"{self.source.path}: {entry.kind} {entry.name!r} has the name of a "
                f"{self.entries[entry.name].kind}; rename one of them"
            )
        self.entries[entry.name] = entry

    def _resolved(self, name: str, kind: str, delta: Any, **more: Any) -> Entry:
        base = more.pop("base", self.study.defaults)
        table = f"{kind}s"
        facts = dict(self.facts)
        if more.get("task") == "rotation":
            facts["num_classes"] = 4
        at = (table, name, "model")
        model = resolve_model(base.model, delta.model, self.source, at)
        check_model(model, facts, self.source, at, ("defaults", "model"))
        training = resolve_training(
            base.training, delta.training, self.source, (table, name, "training")
        )
        return Entry(
            name=name,
            kind=kind,
            label=getattr(delta, "label", None) or name,
            model=model,
            training=training,
            seeds=delta.seeds or self.study.seeds,
            **more,
        )

    def _variant(self, name: str, variant: Variant) -> Entry:
        more: dict[str, Any] = {"start": variant.start, "test_flip": variant.test_flip}
        base = self.study.defaults
        if variant.start:
            base = self._pretext_base(variant.start)
        if variant.chosen:
            search = self.study.search[variant.chosen.search]
            origin = self._variant(search.variant, self.study.variants[search.variant])
            base = Defaults(model=origin.model, training=origin.training)
            more |= {"chosen": variant.chosen, "fixed": settings_of(variant)}
        return self._resolved(name, "variant", variant, base=base, **more)

    def _pretext_base(self, start: Start) -> Defaults:
        pretext = self.study.pretexts[start.pretext]
        at = ("pretexts", start.pretext, "model")
        defaults = self.study.defaults
        model = resolve_model(defaults.model, pretext.model, self.source, at)
        return Defaults(model=model, training=defaults.training)

    def _points(self, stage: str, search: Search) -> Iterable[Entry]:
        origin = self._variant(search.variant, self.study.variants[search.variant])
        base = resolve_training(
            origin.training, search.training, self.source, ("search", stage, "training")
        )
        keys = list(search.matrix)
        for values in itertools.product(*search.matrix.values()):
            settings = dict(zip(keys, values, strict=True))
            model, training = self.with_settings(origin.model, base, settings, stage)
            yield Entry(
                name=point_name(stage, values),
                kind="point",
                label=", ".join(
                    f"{k.split('.', 1)[1]} {v}" for k, v in settings.items()
                ),
                model=model,
                training=training,
                seeds=search.seeds,
                start=origin.start,
                chosen=origin.chosen,
                fixed=(*origin.fixed, *keys, *flat("training", search.training)),
            )

    def with_settings(
        self, model: Model, training: Training, settings: dict[str, Any], stage: str
    ) -> tuple[Model, Training]:
        """Model and recipe with dotted settings laid over them, checked."""
        delta = nested(settings)
        at = ("search", stage, "matrix")
        model_at = (*at, "model")
        model = resolve_model(model, delta.get("model", {}), self.source, model_at)
        check_model(model, self.facts, self.source, model_at)
        training = resolve_training(
            training, delta.get("training", {}), self.source, (*at, "training")
        )
        return model, training

    def entry(self, name: str) -> Entry:
        """The entry of that name."""
        if name not in self.entries:
            known = suggest(name, self.entries)
            raise LabmillError(f"{self.path}: no variant {name!r}; {known}")
        return self.entries[name]

    @cached_property
    def variants(self) -> tuple[Entry, ...]:
        """Declared variants, in the order of the file."""
        return tuple(e for e in self.entries.values() if e.kind == "variant")

    def points(self, stage: str) -> tuple[Entry, ...]:
        """The grid points of one search stage."""
        search = self.study.search[stage]
        return tuple(
            self.entries[point_name(stage, values)]
            for values in itertools.product(*search.matrix.values())
        )

    def loops(self, variant: str) -> dict[str, Pruning]:
        """The prune loops of a variant, by name."""
        return {
            name: loop
            for name, loop in self.study.pruning.items()
            if variant in loop.variants
        }

    # --- where things stand ----------------------------------------------------------

    @property
    def results(self) -> str:
        """The study's folder of results."""
        return f"results/{self.place}"

    @property
    def dataset_key(self) -> str:
        """The dataset's folder below `data/`: its name, and its arguments as a hash."""
        data = self.study.data
        return (
            f"{data.dataset}-{digest(data.arguments)}"
            if data.arguments
            else data.dataset
        )

    def folder(self, variant: str, seed: int | str, stage: str) -> str:
        """The folder of one stage of one run."""
        return f"{self.results}/{variant}/seed{seed}/{stage}"

    def state(self, variant: str, seed: int | str, stage: str) -> str:
        """The folder of a job's resumable state, one per fingerprint.

        It stands beside the outputs and is none of them: Snakemake deletes the declared
        outputs of a failed job.
        """
        job = self.stage_job(variant, seed, stage)
        return f"{self.folder(variant, seed, stage)}/state/{job.fingerprint}"

    def threads(self, variant: str, cores: int | None) -> int:
        """One thread for small models, a job a core; up to four for heavy families."""
        heavy = registry.constant("models", self.entry(variant).model.name, "HEAVY")
        return min(4, cores or 4) if heavy else 1

    def last_step(
        self, loop: str, variant: str, seed: int | str, finished: Finished
    ) -> int:
        """The number of steps of a prune loop; `finished(step)` asks the results."""
        pruning = self.study.pruning[loop]
        if pruning.drop is None and pruning.macs is None:
            return pruning.steps
        for step in range(1, pruning.steps + 1):
            if finished(loop, variant, seed, step):
                return step
        return pruning.steps

    def stages(self, variant: str, seed: int | str, finished: Finished) -> list[str]:
        """All stages of a run, in the order in which they are made."""
        steps = {
            loop: self.last_step(loop, variant, seed, finished)
            for loop in self.loops(variant)
        }
        return ["dense"] + [
            f"{loop}_{step}" for loop, n in steps.items() for step in range(1, n + 1)
        ]

    def results_index(self, finished: Finished) -> list[dict[str, Any]]:
        """What the summary reads, from the plan and never from a glob.

        One record per (entry, seed, stage) and one per search, each with its files.
        """
        records = []
        for entry in self.entries.values():
            first = "pretext" if entry.kind == "pretext" else "dense"
            for seed in entry.seeds:
                stages = (
                    self.stages(entry.name, seed, finished)
                    if entry.kind == "variant"
                    else [first]
                )
                for stage in stages:
                    files = self.stage_files(entry, seed, stage, stages)
                    records.append(
                        {
                            "variant": entry.name,
                            "label": entry.label,
                            "kind": entry.kind,
                            "seed": seed,
                            "stage": stage,
                            "folder": self.folder(entry.name, seed, stage),
                            "files": files,
                        }
                    )
        for stage in self.study.search:
            chosen = f"{self.results}/{stage}/chosen.json"
            records.append(
                {"kind": "search", "stage": stage, "files": {"chosen": chosen}}
            )
        return records

    def stage_files(
        self, entry: Entry, seed: int, stage: str, stages: list[str]
    ) -> dict[str, str]:
        """The files of one stage that the summary reads.

        The test set is opened for the dense net and the end of each loop, not for every
        step on the way; the first seed's nets are measured, alone on the machine.
        """
        folder = self.folder(entry.name, seed, stage)
        names = {
            "model": "model.safetensors",
            "description": "model.json",
            "history": "history.csv",
        }
        if stage == "dense":
            names["batches"] = "batches.csv"
        elif stage != "pretext":
            names["prune"] = "prune.json"
        if entry.kind == "variant":
            loop = stage.rpartition("_")[0]
            last = [s for s in stages if s.rpartition("_")[0] == loop][-1]
            if stage in ("dense", last):
                names |= {"metrics": "metrics.json", "predictions": "predictions.npz"}
            if seed == entry.seeds[0]:
                names["measure"] = "measure.json"
        return {key: f"{folder}/{name}" for key, name in names.items()}

    def results_files(self, finished: Finished) -> list[str]:
        """Every file of the index."""
        return [
            path
            for record in self.results_index(finished)
            for path in record["files"].values()
        ]

    def point_runs(self, stage: str) -> list[dict[str, Any]]:
        """The runs of one search: point, seed and the files that the choice reads."""
        return [
            {
                "point": point.name,
                "seed": seed,
                "history": f"{folder}/history.csv",
                "description": f"{folder}/model.json",
            }
            for point in self.points(stage)
            for seed in point.seeds
            for folder in [self.folder(point.name, seed, "dense")]
        ]

    def point_files(self, stage: str) -> list[str]:
        """The files that the choice of one search reads."""
        return [
            run[key]
            for run in self.point_runs(stage)
            for key in ("history", "description")
        ]

    def search_base(self, stage: str) -> str | list[str]:
        """The earlier choice that a search's variant begins from, or nothing."""
        chosen = self.study.variants[self.study.search[stage].variant].chosen
        return f"{self.results}/{chosen.search}/chosen.json" if chosen else []

    # --- jobs --------------------------------------------------------------------------

    def download_job(self) -> Job:
        """Fetch, verify and decode the dataset."""
        data = self.study.data
        settings = {"dataset": data.dataset, "arguments": data.arguments}
        return Job("download", settings, (f"data.{data.dataset}",))

    def split_job(self) -> Job:
        """Split the dataset once for the whole study."""
        keep = {"dataset", "arguments", "normalisation"}
        settings = self.study.data.model_dump(mode="json", exclude=keep)
        return Job(
            "split",
            settings,
            ("data.splits",),
            ("numpy",),
            {"dataset": self.download_job().fingerprint},
        )

    def run(self, variant: str, seed: int | str) -> Run:
        """One run's resolved settings."""
        entry = self.entry(variant)
        return Run(
            variant=variant,
            seed=int(seed),
            task=entry.task,
            images=self.study.pretexts[variant].images
            if entry.kind == "pretext"
            else "train",
            model=entry.model,
            training=entry.training,
            normalisation=self.study.data.normalisation,
            start=entry.start,
            rank=entry.chosen.rank if entry.chosen else None,
            fixed=entry.fixed,
            test_flip=entry.test_flip,
        )

    def train_job(self, variant: str, seed: int | str) -> Job:
        """Train one run; of a pretext, without labels."""
        entry = self.entry(variant)
        consumes = {"split": self.split_job().fingerprint}
        modules = ["training.train", f"models.{entry.model.name}"]
        if entry.start:
            pretext = self.train_job(
                entry.start.pretext, self._pretext_seed(entry, seed)
            )
            consumes[entry.start.pretext] = pretext.fingerprint
        if entry.chosen:
            consumes[entry.chosen.search] = self.select_job(
                entry.chosen.search
            ).fingerprint
        settings = self.run(variant, seed).model_dump(
            mode="json", exclude={"test_flip"}
        )
        kind = "pretrain" if entry.kind == "pretext" else "train"
        return Job(kind, settings, tuple(modules), ("torch", "numpy"), consumes)

    def _pretext_seed(self, entry: Entry, seed: int | str) -> int:
        assert entry.start is not None
        seeds = self.entry(entry.start.pretext).seeds
        return int(seed) if int(seed) in seeds else seeds[0]

    def pretext_model(self, variant: str, seed: int | str) -> str | None:
        """The folder of the pretext run that a run starts from, or None."""
        entry = self.entry(variant)
        if entry.start is None:
            return None
        return self.folder(
            entry.start.pretext, self._pretext_seed(entry, seed), "pretext"
        )

    def select_job(self, stage: str) -> Job:
        """Choose among a search's points."""
        search = self.study.search[stage]
        consumes = {
            f"{point.name} seed {seed}": self.train_job(point.name, seed).fingerprint
            for point in self.points(stage)
            for seed in point.seeds
        }
        settings = search.select.model_dump(mode="json")
        settings["points"] = {
            point_name(stage, values): dict(zip(search.matrix, values, strict=True))
            for values in itertools.product(*search.matrix.values())
        }
        return Job(
            "select",
            settings,
            ("search.select",),
            ("numpy",),
            {"points": digest(consumes)},
        )

    def prune_job(
        self, loop: str, variant: str, seed: int | str, step: int | str
    ) -> Job:
        """Remove, measure, fine-tune, measure: one step of a prune loop."""
        step = int(step)
        pruning = self.study.pruning[loop]
        entry = self.entry(variant)
        recipe = resolve_training(
            entry.training, pruning.finetune, self.source, ("pruning", loop, "finetune")
        )
        keep = {"variants", "steps", "finetune", "influence", "controls"}
        settings = {
            "loop": pruning.model_dump(mode="json", exclude=keep),
            "finetune": recipe.model_dump(mode="json"),
            "run": self.run(variant, seed).model_dump(
                mode="json", exclude={"training"}
            ),
            "step": step,
        }
        before = (
            self.train_job(variant, seed)
            if step == 1
            else self.prune_job(loop, variant, seed, step - 1)
        )
        return Job(
            "prune",
            settings,
            ("pruning.step", f"models.{entry.model.name}"),
            ("torch", "torch-pruning", "numpy"),
            {"model": before.fingerprint},
        )

    def stage_job(self, variant: str, seed: int | str, stage: str) -> Job:
        """The job that makes a stage's model: `dense`, `pretext` or `<loop>_<step>`."""
        if stage in ("dense", "pretext"):
            return self.train_job(variant, seed)
        loop, _, step = stage.rpartition("_")
        if loop not in self.loops(variant):
            raise LabmillError(
                f"{self.path}: {variant} has no stage {stage!r}; "
                f"{suggest(loop, ['dense', *self.loops(variant)])}"
            )
        return self.prune_job(loop, variant, seed, step)

    def evaluate_job(self, variant: str, seed: int | str, stage: str) -> Job:
        """Open the test set once for a stage."""
        return Job(
            "evaluate",
            {
                "test_flip": self.entry(variant).test_flip,
            }
            | self.run(variant, seed).model_dump(
                mode="json", include={"normalisation"}
            ),
            ("evaluation.evaluate",),
            ("torch", "numpy"),
            {"model": self.stage_job(variant, seed, stage).fingerprint},
        )

    def measure_job(self, variant: str, seed: int | str, stage: str) -> Job:
        """Parameters, operations, latency, memory of a stage."""
        settings = self.study.measure.model_dump(mode="json")
        settings |= self.run(variant, seed).model_dump(
            mode="json", include={"training", "normalisation"}
        )
        return Job(
            "measure",
            settings,
            ("measure.measure",),
            ("torch",),
            {"model": self.stage_job(variant, seed, stage).fingerprint},
        )

    def summarize_job(self) -> Job:
        """Collect all results of the study into one table."""
        consumes = {}
        for entry in self.variants:
            for seed in entry.seeds:
                run = self.evaluate_job(entry.name, seed, "dense").fingerprint
                consumes[f"{entry.name} seed {seed}"] = run
            first = self.measure_job(entry.name, entry.seeds[0], "dense").fingerprint
            consumes[f"{entry.name} measure"] = first
            for loop, pruning in self.loops(entry.name).items():
                for seed in entry.seeds:
                    last = self.prune_job(loop, entry.name, seed, pruning.steps)
                    consumes[f"{entry.name} seed {seed} {loop}"] = last.fingerprint
        for stage in self.study.search:
            consumes[f"search {stage}"] = self.select_job(stage).fingerprint
        settings = {"study": self.study.model_dump(mode="json"), "scale": self.scale}
        return Job("summarize", settings, ("report.summarize",), ("scipy",), consumes)

    def report_job(self) -> Job:
        """Write the report."""
        summary = self.summarize_job()
        return Job(
            "report",
            {"scale": self.scale, "text": self.path.read_text(encoding="utf-8")},
            ("report.write",),
            ("matplotlib", "altair"),
            {"summary": summary.fingerprint},
        )


def point_name(stage: str, values: Iterable[Any]) -> str:
    """A grid point's short, stable name: `arch_3_5_8`; no other value changes it."""
    words = [re.sub(r"[^a-z0-9]+", "p", str(v).lower()) for v in values]
    return "_".join([stage, *words])


def nested(settings: dict[str, Any]) -> dict[str, Any]:
    """`{"training.schedule.kind": "cosine"}` as nested mappings."""
    result: dict[str, Any] = {}
    for key, value in settings.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        result = merged(result, value)
    return result


def flat(prefix: str, value: Any) -> tuple[str, ...]:
    """The dotted keys of a nested mapping's leaves."""
    if isinstance(value, dict):
        return tuple(
            k for name, v in value.items() for k in flat(f"{prefix}.{name}", v)
        )
    return (prefix,)


def settings_of(variant: Variant) -> tuple[str, ...]:
    """The dotted keys that a variant sets itself."""
    return (*flat("model", variant.model), *flat("training", variant.training))
