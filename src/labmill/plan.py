"""A study becomes jobs: what each runs, depends on, and is out of date against.

Pure Python over the checked study: neither torch nor numpy, since Snakemake parses the
workflow again in every cluster job.
"""

import itertools
import re
from functools import cached_property
from pathlib import Path

from labmill import edits, registry
from labmill.check import (
    check_data,
    check_examine,
    check_represent,
    fail,
)
from labmill.data.image_folder import census
from labmill.entries import Entries, Entry, as_selected, point_name
from labmill.errors import LabmillError, suggest
from labmill.fingerprint import dataset_key, digest
from labmill.fits import check_fits
from labmill.job import Job, remembered
from labmill.loading import SCALES, load_study, resolve_training
from labmill.references import check_references
from labmill.study import Pruning, Run, Study, Training

# What decides a prune step; the rest of a loop's settings is about what is made of it.
DECIDES = {"criterion", "layers", "scope", "remove", "drop", "macs"}


class Plan:
    """All jobs of one study at one scale.

    Args:
        path: the study file.
        scale: `full`, `laptop` or `smoke`.
        author: what the report says where the study does not name its author.
        slurm: how a training job is asked for on a cluster; the report shows it.

    Raises:
        LabmillError: the file is wrong; nothing was started.
    """

    def __init__(
        self,
        path: str | Path,
        scale: str = "full",
        *,
        author: dict[str, str] | None = None,
        slurm: str = "",
    ) -> None:
        self.path = Path(path)
        self.author, self.slurm = author or {}, slurm
        self.scale = scale
        self.name = self.path.stem
        study, self.source = load_study(path, scale)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name) or self.name in SCALES:
            raise LabmillError(
                f"{path}: a study's file name is lower-case letters, digits and _, "
                f"and none of: {', '.join(SCALES)}"
            )
        self.facts = check_data(study.data, self.source)
        check_references(study, self.source)
        self.study: Study = as_selected(study)
        self.place = self.name if scale == "full" else f"{scale}/{self.name}"
        self.made: dict[tuple[str, ...], Job] = {}
        self.entries = Entries(self.study, self.source, self.facts)
        check_fits(self.study, self.entries.values(), self.facts, self.source)
        if study.edits:
            for name in edits.edited(self):
                for slot in edits.slots(study.edits, self.entries[name], self.source):
                    self.entries.add(slot)
        for name in self.entries:
            for loop in self.loops(name):
                self._finetuning(loop, name)
        models = {name: entry.model for name, entry in self.entries.items()}
        check_examine(study, models, self.source)
        check_represent(study, models, self.source)

    # --- what is trained ---

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
        """The dataset's folder below `data/`."""
        return dataset_key(self.study.data.dataset, self.study.data.arguments)

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

    # --- jobs --------------------------------------------------------------------------

    @remembered
    def download_job(self) -> Job:
        """Fetch, verify and decode the dataset."""
        data = self.study.data
        settings = {"dataset": data.dataset, "arguments": data.arguments}
        if data.dataset == "image_folder":
            settings["files"] = self._own_images
        return Job("download", settings, (f"data.{data.dataset}",))

    @cached_property
    def _own_images(self) -> str:
        """The census of the user's folder, walked once and not for every job."""
        try:
            return census(self.study.data.arguments["path"])
        except LabmillError as error:
            fail(self.source, str(error), ("data", "arguments", "path"))

    @remembered
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
        sees = {"images": "train"}
        if entry.kind == "pretext":
            sees = self.study.pretexts[variant].model_dump(include={"images", "after"})
        return Run(
            variant=variant,
            seed=int(seed),
            task=entry.task,
            **sees,
            model=entry.model,
            training=entry.training,
            normalisation=self.study.data.normalisation,
            start=entry.start,
            rank=entry.chosen.rank if entry.chosen else None,
            fixed=entry.fixed,
            test_flip=entry.test_flip,
        )

    @remembered
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
            consumes[entry.chosen.search] = self.choice_job(
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

    def choice_job(self, ranking: str) -> Job:
        """The job that made the choice that a run begins from."""
        if ranking in self.study.search:
            return self.select_job(ranking)
        return edits.ranking_job(self, ranking)

    def choice_file(self, entry: Entry) -> str | None:
        """The file of the choice that a run begins from, or None."""
        if entry.chosen is None:
            return None
        ranking = entry.chosen.search
        if ranking in self.study.search:
            return f"{self.results}/{ranking}/chosen.json"
        return edits.ranking_file(self, *ranking.rsplit("__", 1))

    @remembered
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
        base = self.entries.origin(search)
        if base.chosen:
            settings["base"] = {"rank": base.chosen.rank, "fixed": base.fixed}
        return Job(
            "select",
            settings,
            ("search.select",),
            ("numpy",),
            {"points": digest(consumes)},
        )

    @remembered
    def prune_job(
        self, loop: str, variant: str, seed: int | str, step: int | str
    ) -> Job:
        """Remove, measure, fine-tune, measure: one step of a prune loop."""
        step = int(step)
        pruning = self.study.pruning[loop]
        entry = self.entry(variant)
        recipe = self._finetuning(loop, variant)
        settings = {
            "loop": pruning.model_dump(mode="json", include=DECIDES),
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

    @remembered
    def control_job(
        self, loop: str, variant: str, seed: int | str, control: str
    ) -> Job:
        """Train a control of a prune loop: what the pruned networks are held against."""
        entry = self.entry(variant)
        recipe = self._finetuning(loop, variant)
        last = self.study.pruning[loop].steps
        return Job(
            "control",
            {
                "control": control,
                "finetune": recipe.model_dump(mode="json"),
                "run": self.run(variant, seed).model_dump(mode="json"),
            },
            ("pruning.control", f"models.{entry.model.name}"),
            ("torch", "numpy"),
            {
                "model": self.train_job(variant, seed).fingerprint,
                "loop": self.prune_job(loop, variant, seed, last).fingerprint,
            },
        )

    def _finetuning(self, loop: str, variant: str) -> Training:
        """The recipe of a loop's fine-tuning, before a search's choice."""
        delta = self.study.pruning[loop].finetune
        at = ("pruning", loop, "finetune")
        return resolve_training(self.entry(variant).training, delta, self.source, at)

    def stage_job(self, variant: str, seed: int | str, stage: str) -> Job:
        """The job that makes a stage's model.

        `dense`, `pretext`, and of a prune loop `<loop>_<step>` and `<loop>_<control>`.
        """
        if stage in ("dense", "pretext"):
            return self.train_job(variant, seed)
        loop, _, step = stage.rpartition("_")
        if loop not in self.loops(variant):
            raise LabmillError(
                f"{self.path}: {variant} has no stage {stage!r}; "
                f"{suggest(loop, ['dense', *self.loops(variant)])}"
            )
        make = self.prune_job if step.isdigit() else self.control_job
        return make(loop, variant, seed, step)

    @remembered
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

    @remembered
    def measure_job(self, variant: str, seed: int | str, stage: str) -> Job:
        """Parameters, operations, latency, memory of a stage."""
        settings = self.study.measure.model_dump(mode="json")
        settings["profile"] |= variant in edits.edited(self)
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
