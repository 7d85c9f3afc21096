"""What a study trains and where its files are, before anything is a job.

Pure Python over the checked study: neither torch nor numpy, since Snakemake parses the
workflow again in every cluster job.
"""

import itertools
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from labmill.core import registry
from labmill.core.errors import LabmillError, suggest
from labmill.core.fingerprint import dataset_key, digest
from labmill.plan.analyses import ANALYSES
from labmill.plan.edit_slots import CONFIRMED, PROPOSED, trial_slots
from labmill.plan.job import Job
from labmill.study.check import check_study
from labmill.study.load import resolve_training
from labmill.study.schema import Pruning, Training
from labmill.study.search_budget import rungs
from labmill.study.variants import ResolvedVariant, point_name


class PlannedStudy:
    """One checked study at one scale.

    `slurm`: the lines of a training job's batch script, for the report; `changes`: of
    the study's settings, by dotted key.
    """

    def __init__(
        self,
        path: str | Path,
        scale: str = "full",
        *,
        author: dict[str, str] | None = None,
        slurm: str = "",
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = Path(path)
        self.author, self.slurm = author or {}, slurm
        self.scale, self.changes = scale, dict(changes or {})
        self.name = self.path.stem
        checked = check_study(path, scale, changes)
        self.study, self.source = checked.study, checked.source
        self.facts, self.resolved = checked.facts, checked.variants
        # The jobs made so far; see `job.cached_job`.
        self.jobs_made: dict[tuple[Any, ...], Job] = {}
        self.study_path = self.name if scale == "full" else f"{scale}/{self.name}"
        if self.study.edits:
            for name in self.edited:
                origin = self.resolved[name]
                for slot in trial_slots(self.study.edits, origin, self.source):
                    self.resolved.add(slot)
        for name in self.resolved:
            for loop in self.loops(name):
                self.finetuning(loop, name)

    # --- what is trained -------------------------------------------------------------

    def resolve(self, name: str) -> ResolvedVariant:
        """Return the resolved variant, search point or pretext task of that name."""
        if name not in self.resolved:
            known = suggest(name, self.resolved)
            raise LabmillError(f"{self.path}: no variant {name!r}; {known}")
        return self.resolved[name]

    @cached_property
    def variants(self) -> tuple[ResolvedVariant, ...]:
        """The declared variants, in the order of the file."""
        return tuple(e for e in self.resolved.values() if e.kind == "variant")

    @property
    def edited(self) -> tuple[str, ...]:
        """The variants that run and whose architecture edits are searched."""
        edits = self.study.edits
        known = () if edits is None else edits.variants
        return tuple(name for name in known if name in self.resolved)

    def points(self, search: str) -> tuple[ResolvedVariant, ...]:
        """Return the grid points of one search."""
        values = itertools.product(*self.study.search[search].matrix.values())
        return tuple(self.resolved[point_name(search, point)] for point in values)

    @cached_property
    def rungs(self) -> dict[str, list[int]]:
        """Search → the epochs at which its rounds end, the last in full."""
        return {
            name: rungs(search, self.points(name)[0].training)
            for name, search in self.study.search.items()
        }

    def stage_at(self, search: str, end: int) -> str:
        """Return the stage of a point that was trained to that epoch."""
        return "dense" if end == self.rungs[search][-1] else f"epochs{end}"

    @cached_property
    def searched(self) -> dict[str, str]:
        """Point of a grid → the search that it belongs to."""
        names = self.study.search
        return {point.name: name for name in names for point in self.points(name)}

    def earlier_rungs(self, variant: str, stage: str) -> list[int]:
        """Return the epochs at which a run stops on the way to a stage; mostly none."""
        if (search := self.searched.get(variant)) is None:
            return []
        *stops, last = self.rungs[search]
        end = last if stage == "dense" else int(stage.removeprefix("epochs"))
        return [stop for stop in stops if stop < end]

    def loops(self, variant: str) -> dict[str, Pruning]:
        """Return the pruning loops of a variant, by name."""
        loops = self.study.pruning.items()
        return {name: loop for name, loop in loops if variant in loop.variants}

    def analyses(self, variant: str, seed: int) -> list[str]:
        """Return the kinds of analyses that the study requests for a run."""
        if seed != self.resolve(variant).seeds[0]:
            return []
        sections = {kind: getattr(self.study, kind) for kind in ANALYSES}
        return [
            k for k, asked in sections.items() if asked and variant in asked.variants
        ]

    def finetuning(self, loop: str, variant: str) -> Training:
        """Return the fine-tuning settings of a loop, before a search's choice."""
        delta = self.study.pruning[loop].finetune
        at = ("pruning", loop, "finetune")
        return resolve_training(self.resolve(variant).training, delta, self.source, at)

    def pretext_seed(self, entry: ResolvedVariant, seed: int) -> int:
        """Return the seed of the pretext run that a run starts from."""
        assert entry.start is not None
        seeds = self.resolve(entry.start.pretext).seeds
        return seed if seed in seeds else seeds[0]

    def threads(self, variant: str, cores: int | None) -> int:
        """Return the threads of a training: one, or up to four for heavy families."""
        heavy = registry.constant("models", self.resolve(variant).model.name, "HEAVY")
        return min(4, cores or 4) if heavy else 1

    # --- where files are -------------------------------------------------------------

    @property
    def results(self) -> str:
        """The study's folder of results."""
        return f"results/{self.study_path}"

    @property
    def dataset_key(self) -> str:
        """The dataset's folder below `data/`."""
        return dataset_key(self.study.data.dataset, self.study.data.arguments)

    def has_own_split(self, seed: int | None) -> bool:
        """Return True if a seed's split is not the study's, which the first seed has."""
        first = self.study.every_seed[0]
        return bool(self.study.data.split_seeds) and seed not in (None, first)

    def split_folder(self, seed: int | None = None) -> str:
        """Return the folder of a run's split: the study's, unless each seed has its own."""
        if self.has_own_split(seed):
            return f"{self.results}/splits/seed{seed}"
        return self.results

    @property
    def splits(self) -> list[tuple[str, dict[str, str]]]:
        """The rule of each split, with its wildcards; the study's first."""
        own = self.study.every_seed[1:] if self.study.data.split_seeds else ()
        return [("split", {}), *(("split_for_seed", {"seed": str(s)}) for s in own)]

    def folder(self, variant: str, seed: int | str, stage: str) -> str:
        """Return the folder of one stage of one run."""
        return f"{self.results}/{variant}/seed{seed}/{stage}"

    def pretext_folder(self, variant: str, seed: int) -> str | None:
        """Return the folder of the pretext run that a run starts from, or None."""
        entry = self.resolve(variant)
        if entry.start is None:
            return None
        seed = self.pretext_seed(entry, seed)
        return self.folder(entry.start.pretext, seed, "pretext")

    def weights_key(self, entry: ResolvedVariant) -> str | None:
        """Return the folder of the pretrained weights that a run starts from, or None."""
        model = entry.model
        wanted = entry.start is None and model.arguments.get("pretrained")
        if not wanted or not registry.library(model.name):
            return None
        key = f"{model.name}.{model.arguments['network']}"
        pinned = model.arguments.get("sha256")
        return f"{key}-{digest(pinned)}" if pinned else key

    @cached_property
    def weights(self) -> dict[str, ResolvedVariant]:
        """The folders of pretrained weights, each with a variant that starts from it."""
        keys = {self.weights_key(entry): entry for entry in self.resolved.values()}
        return {key: entry for key, entry in keys.items() if key}

    def ranking_file(self, variant: str, kind: str) -> str:
        """Return the file of a ranking of architecture edits."""
        assert kind in (PROPOSED, CONFIRMED)
        return f"{self.results}/{variant}/{kind}.json"

    def choice_file(self, entry: ResolvedVariant) -> str | None:
        """Return the file of the choice that a run takes its settings from, or None."""
        if entry.chosen is None:
            return None
        ranking = entry.chosen.search
        if ranking in self.study.search:
            return f"{self.results}/{ranking}/chosen.json"
        return self.ranking_file(*ranking.rsplit("__", 1))
