"""The jobs of a study up to its results, each with all that its result depends on."""

import itertools
from functools import cached_property

from labmill.core import registry
from labmill.core.errors import LabmillError, suggest
from labmill.core.fingerprint import digest
from labmill.core.registry import code_of, is_own
from labmill.core.trees import Settings
from labmill.data.classes import resolve_classes
from labmill.data.image_tree import ImageTree, find_images
from labmill.data.stratify import SplitSettings, part_sizes
from labmill.plan.analyses import ANALYSES
from labmill.plan.edit_slots import PROPOSED
from labmill.plan.job import Job, cached_job
from labmill.plan.planned_study import PlannedStudy
from labmill.study.check_training import AUGMENTATIONS, FUSED
from labmill.study.schema import Run, Training
from labmill.study.variants import EVALUATED, point_name

# The settings that decide a pruning step; a loop's others are about its results.
DECIDES = {"criterion", "layers", "scope", "remove", "drop", "macs"}


def used(training: Training) -> tuple[str, ...]:
    """Return the modules that a training names, as a job names its code."""
    found = [code_of("losses", training.loss)]
    if training.optimizer not in FUSED and is_own("optimizers", training.optimizer):
        found.append(code_of("optimizers", training.optimizer))
    if not isinstance(training.augmentation, str):
        found += [code_of(AUGMENTATIONS, n) for n in training.augmentation.registered]
    return tuple(found)


class RunJobs(PlannedStudy):
    """One study's jobs, but for those that write its report."""

    @cached_job
    def download_job(self) -> Job:
        """Fetch, verify and decode the dataset."""
        data = self.study.data
        settings = {"dataset": data.dataset, "arguments": data.arguments}
        if data.dataset == "image_folder":
            settings["files"] = self._check_images()
        return Job("download", settings, (code_of("data/datasets", data.dataset),))

    @cached_property
    def image_tree(self) -> ImageTree:
        """The user's folder of images."""
        given = self.study.data.arguments
        return find_images(given["path"], given.get("broken"))

    def image_parts(self) -> dict[str, list[int]]:
        """Return the images per class of each part of the user's folder, before limits."""
        data, tree = self.study.data, self.image_tree
        kept = resolve_classes(tree.classes, data.classes, data.roll_number)
        fields = SplitSettings.__dataclass_fields__
        return part_sizes(
            SplitSettings(**data.model_dump(include={*fields})),
            {
                part: [counts[label] for label in kept]
                for part, counts in tree.counts().items()
            },
            [f"{tree.classes[label]!r} of {tree.root}" for label in kept],
        )

    def _check_images(self) -> str:
        """Check the user's folder of images and return its digest."""
        data = self.study.data
        key = "arguments.path"
        try:
            tree = self.image_tree
            key = "classes" if data.classes is not None else "roll_number"
            self.image_parts()
        except LabmillError as error:
            message = str(error)
            if message.startswith("data."):  # of one setting of the split
                key, _, message = message.removeprefix("data.").partition(": ")
            elif message.startswith("data: "):  # no setting of it would do
                key, message = "arguments.path", message.removeprefix("data: ")
            self.source.fail(message, ("data", *key.split(".")))
        return tree.digest()

    @cached_job
    def weights_job(self, key: str) -> Job:
        """Fetch and verify the pretrained weights of another library's network."""
        model = self.weights[key].model
        named = ("network", "sha256")
        settings = {name: model.arguments.get(name) for name in named}
        settings |= {"library": model.name}
        code = ("models.pretrained", code_of("models", model.name))
        return Job("weights", settings, code, ("torch", model.name))

    @cached_job
    def split_job(self, seed: int | None = None) -> Job:
        """Split the dataset once for the whole study, or for one seed's runs."""
        keep = {"dataset", "arguments", "normalisation", "split_seeds"}
        settings = self.study.data.model_dump(mode="json", exclude=keep)
        if own := self.study.data.split_seeds:
            settings["split_seed"] = own[
                0 if seed is None else self.study.every_seed.index(seed)
            ]
        dataset = self.download_job().fingerprint
        return Job("split", settings, ("data.split",), ("numpy",), {"dataset": dataset})

    def split_of(self, seed: int) -> Job:
        """Return the job that split the dataset for a seed's runs."""
        return self.split_job(seed if self.has_own_split(seed) else None)

    def run(self, variant: str, seed: int) -> Run:
        """Return one run's resolved settings."""
        entry = self.resolve(variant)
        sees: Settings = {"images": "train"}
        if entry.kind == "pretext":
            sees = self.study.pretexts[variant].model_dump(include={"images", "after"})
        values: Settings = {
            "variant": variant,
            "seed": seed,
            "task": entry.task,
            **sees,
            "model": entry.model,
            "training": entry.training,
            "normalisation": self.study.data.normalisation,
            "start": entry.start,
            "rank": entry.chosen.rank if entry.chosen else None,
            "fixed": entry.fixed,
            **{name: getattr(entry, name) for name in EVALUATED},
        }
        return Run(**values)

    @cached_job
    def train_job(self, variant: str, seed: int, stage: str = "dense") -> Job:
        """Train one run; for a pretext task, without labels.

        A search may stop it at a stage `epochs<n>`, and continue it from there.
        """
        entry = self.resolve(variant)
        library = registry.library(entry.model.name)
        consumes = {"split": self.split_of(seed).fingerprint}
        if entry.start:
            pretext = entry.start.pretext
            start = self.train_job(pretext, self.pretext_seed(entry, seed))
            consumes[pretext] = start.fingerprint
        if weights := self.weights_key(entry):
            consumes["weights"] = self.weights_job(weights).fingerprint
        if entry.chosen:
            ranking = entry.chosen.search
            consumes[ranking] = self.choice_job(ranking).fingerprint
        for end in self.earlier_rungs(variant, stage)[-1:]:
            paused = self.train_job(variant, seed, f"epochs{end}")
            consumes["paused"] = paused.fingerprint
        settings = self.run(variant, seed).model_dump(mode="json", exclude={*EVALUATED})
        kind = "pretrain" if entry.kind == "pretext" else "train"
        if stage != "dense":
            kind = "pause"
            settings = {"run": settings, "epochs": int(stage.removeprefix("epochs"))}
        return Job(
            kind,
            settings,
            (
                "training.train",
                code_of("models", entry.model.name),
                *used(entry.training),
            ),
            ("torch", "numpy", *((library,) if library else ())),
            consumes,
        )

    def choice_job(self, ranking: str) -> Job:
        """Return the job of the choice that a run takes its settings from."""
        if ranking in self.study.search:
            return self.select_job(ranking)
        variant, _, kind = ranking.rpartition("__")
        return (self.propose_job if kind == PROPOSED else self.confirm_job)(variant)

    @cached_job
    def select_job(self, search: str) -> Job:
        """Choose among a search's points."""
        declared = self.study.search[search]
        settings = declared.select.model_dump(mode="json")
        settings["points"] = self.point_settings(search)
        base = self.resolved.origin(declared)
        if base.chosen:
            settings["base"] = {"rank": base.chosen.rank, "fixed": list(base.fixed)}
        consumes = self.trained_points(search)
        if declared.method != "grid":
            consumes["rounds"] = self.round_job(search, 1).fingerprint
        return Job("select", settings, ("search.select",), ("numpy",), consumes)

    def point_settings(self, search: str) -> dict[str, Settings]:
        """Return point → its settings, by dotted keys."""
        matrix = self.study.search[search].matrix
        return {
            point_name(search, values): dict(zip(matrix, values, strict=True))
            for values in itertools.product(*matrix.values())
        }

    def trained_points(self, search: str) -> dict[str, str]:
        """Return the fingerprint of the trainings of all points."""
        points = {
            f"{point.name} seed {seed}": self.train_job(point.name, seed).fingerprint
            for point in self.points(search)
            for seed in point.seeds
        }
        return {"points": digest(points)}

    @cached_job
    def round_job(self, search: str, number: int) -> Job:
        """Decide which points of a search train in a round."""
        declared = self.study.search[search]
        kept = {"method", "budget", "at_once", "factor", "seeds"}
        settings = declared.model_dump(mode="json", include=kept)
        settings |= {"points": self.point_settings(search), "ends": self.rungs[search]}
        return Job(
            "round",
            settings | {"round": number},
            ("search.rounds", "study.search_budget"),
            ("numpy", "optuna"),
            self.trained_points(search),
        )

    @cached_job
    def prune_job(self, loop: str, variant: str, seed: int, step: int) -> Job:
        """Remove, measure, fine-tune, measure: one step of a pruning loop."""
        run = self.run(variant, seed).model_dump(mode="json", exclude={"training"})
        settings = {
            "loop": self.study.pruning[loop].model_dump(mode="json", include=DECIDES),
            "finetune": self.finetuning(loop, variant).model_dump(mode="json"),
            "run": run,
            "step": step,
        }
        if step == 1:
            before = self.train_job(variant, seed)
        else:
            before = self.prune_job(loop, variant, seed, step - 1)
        return Job(
            "prune",
            settings,
            (
                *("pruning.step", code_of("models", self.resolve(variant).model.name)),
                *used(self.finetuning(loop, variant)),
            ),
            ("torch", "torch-pruning", "numpy"),
            {"model": before.fingerprint},
        )

    @cached_job
    def control_job(self, loop: str, variant: str, seed: int, control: str) -> Job:
        """Train a control of a pruning loop, which pruned networks are compared with."""
        last = self.prune_job(loop, variant, seed, self.study.pruning[loop].steps)
        settings = {
            "control": control,
            "finetune": self.finetuning(loop, variant).model_dump(mode="json"),
            "run": self.run(variant, seed).model_dump(mode="json"),
        }
        model = self.train_job(variant, seed).fingerprint
        return Job(
            "control",
            settings,
            (
                "pruning.controls",
                code_of("models", self.resolve(variant).model.name),
                *used(self.finetuning(loop, variant)),
            ),
            ("torch", "numpy"),
            {"model": model, "loop": last.fingerprint},
        )

    def stage_job(self, variant: str, seed: int, stage: str) -> Job:
        """Return the job that makes a stage's model.

        The stages are `dense`, `pretext`, of a point that a search stopped
        `epochs<n>`, and of a pruning loop `<loop>_<step>` and `<loop>_<control>`.
        """
        if stage in ("dense", "pretext"):
            return self.train_job(variant, seed)
        if variant in self.searched:
            return self.train_job(variant, seed, stage)
        loop, _, last = stage.rpartition("_")
        if loop not in self.loops(variant):
            raise LabmillError(
                f"{self.path}: {variant} has no stage {stage!r}; "
                f"{suggest(loop, ['dense', *self.loops(variant)])}"
            )
        if last.isdigit():
            return self.prune_job(loop, variant, seed, int(last))
        return self.control_job(loop, variant, seed, last)

    def evaluate_settings(self, variant: str, seed: int) -> Settings:
        """Return the settings on which predictions depend besides the network."""
        run = self.run(variant, seed)
        return run.model_dump(mode="json", include={"normalisation", *EVALUATED})

    @cached_job
    def evaluate_job(self, variant: str, seed: int, stage: str) -> Job:
        """Open the test set once for a stage."""
        settings = self.evaluate_settings(variant, seed)
        model = {"model": self.stage_job(variant, seed, stage).fingerprint}
        return Job(
            "evaluate", settings, ("evaluation.evaluate",), ("torch", "numpy"), model
        )

    @cached_job
    def measure_job(self, variant: str, seed: int, stage: str) -> Job:
        """Measure parameters, operations, latency and memory of a stage."""
        run = self.run(variant, seed)
        settings = self.study.measure.model_dump(mode="json")
        settings["profile"] |= variant in self.edited
        settings |= run.model_dump(mode="json", include={"training", "normalisation"})
        model = {"model": self.stage_job(variant, seed, stage).fingerprint}
        return Job("measure", settings, ("profiling.measure",), ("torch",), model)

    @cached_job
    def analysis_job(self, kind: str, variant: str, seed: int) -> Job:
        """Analyse one trained network; the kinds are those of `analyses.ANALYSES`."""
        analysis, section = ANALYSES[kind], getattr(self.study, kind)
        settings = section.model_dump(mode="json", exclude={"variants"})
        run = self.run(variant, seed).model_dump(mode="json")
        for name in analysis.settings:
            settings[name] = run if name == "run" else run[name]
        model = {"model": self.train_job(variant, seed).fingerprint}
        return Job(kind, settings, (analysis.module,), analysis.libraries, model)

    @cached_job
    def propose_job(self, variant: str) -> Job:
        """Rank a variant's edits by the saving that its profile predicts."""
        assert self.study.edits is not None
        entry = self.resolve(variant)
        run = self.run(variant, entry.seeds[0]).model_dump(mode="json")
        declared = {
            other.name: other.model.model_dump(mode="json")
            for other in self.variants
            if other.chosen is None and other.name != variant
        }
        settings = {
            "trials": self.study.edits.trials,
            "training": entry.training.model_dump(mode="json"),
            "normalisation": run["normalisation"],
            "declared": declared,
            "repeats": self.study.measure.repeats,
        }
        measured = self.measure_job(variant, entry.seeds[0], "dense")
        return Job(
            "propose",
            settings,
            ("architecture_edits.propose", code_of("models", entry.model.name)),
            ("torch", "numpy"),
            {"measure": measured.fingerprint},
        )

    @cached_job
    def confirm_job(self, variant: str) -> Job:
        """Choose among the edits that were tried briefly."""
        assert self.study.edits is not None
        seed = self.resolve(variant).seeds[0]
        names = [f"{variant}_edit{n}" for n in range(self.study.edits.trials + 1)]
        consumes = {name: self.train_job(name, seed).fingerprint for name in names}
        settings = {"tolerance": self.study.edits.tolerance}
        modules = ("architecture_edits.confirm",)
        return Job("confirm", settings, modules, ("numpy",), consumes)
