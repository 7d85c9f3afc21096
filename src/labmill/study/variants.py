"""What a study trains, fully resolved: its variants, pretexts and search points."""

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from labmill.core import registry
from labmill.core.errors import LabmillError
from labmill.core.fingerprint import digest
from labmill.core.trees import Settings, flatten, nest
from labmill.study.check_models import DATASETS, Facts, check_model
from labmill.study.load import resolve_model, resolve_training
from labmill.study.schema import (
    LONGEST_NAME,
    PERIODIC,
    Augmentation,
    Choice,
    Defaults,
    Model,
    Search,
    Start,
    Study,
    Training,
    Variant,
)
from labmill.study.yaml_source import YamlSource

# Settings of a variant that matter when it is evaluated, not when it is trained.
EVALUATED = ("test_flip", "test_shift")

# Settings of a model by which its pretrained weights differ.
DECIDE_WEIGHTS = ("model.name", "model.network", "model.pretrained")


@dataclass(frozen=True)
class ResolvedVariant:
    """Something to train: a declared variant, a search point, a pretext.

    `chosen` settings, found by a search, are merged over `model` and `training` when
    the job runs, except for the keys in `fixed`, which the variant itself sets.
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
    test_shift: int = 0


class ResolvedVariants(dict[str, ResolvedVariant]):
    """All that a study trains, by name: pretexts, variants, search points."""

    def __init__(self, study: Study, source: YamlSource, facts: Facts) -> None:
        """Resolve and check everything."""
        super().__init__()
        self.study, self.source, self.facts = study, source, facts
        for name, pretext in study.pretexts.items():
            self.add(self._resolved(name, "pretext", pretext, task=pretext.task))
        for name, variant in study.variants.items():
            if study.run is None or name in study.run:
                self.add(self._variant(name, variant))
        for name, search in study.search.items():
            for point in self._points(name, search):
                self.add(point)

    def add(self, variant: ResolvedVariant) -> None:
        """Add one more; LabmillError if its name is taken."""
        if variant.name in self:
            raise LabmillError(
                f"{self.source.path}: {variant.kind} {variant.name!r} has the name of a "
                f"{self[variant.name].kind}; rename one of them"
            )
        self[variant.name] = variant

    def _resolved(
        self, name: str, kind: str, delta: Any, **more: Any
    ) -> ResolvedVariant:
        base = more.pop("base", self.study.defaults)
        table = f"{kind}s"
        facts: Facts = {**self.facts}
        if more.get("task") == "rotation":
            facts["num_classes"] = 4
        at = (table, name, "model")
        model = resolve_model(base.model, delta.model, self.source, at)
        check_model(model, facts, self.source, at, ("defaults", "model"))
        training = resolve_training(
            base.training, delta.training, self.source, (table, name, "training")
        )
        return ResolvedVariant(
            name=name,
            kind=kind,
            label=getattr(delta, "label", None) or name,
            model=model,
            training=self._augmented(training),
            seeds=delta.seeds or self.study.every_seed,
            **more,
        )

    def _variant(self, name: str, variant: Variant) -> ResolvedVariant:
        more: Settings = variant.model_dump(include={*EVALUATED})
        more["start"] = variant.start
        base = self.study.defaults
        if variant.start:
            base = self._pretext_base(variant.start)
        if variant.chosen:
            search = self.study.search[variant.chosen.search]
            origin = self.origin(search)
            self._check_weights(name, origin.model, search)
            base = Defaults(model=origin.model, training=origin.training)
            more |= {"chosen": variant.chosen, "fixed": settings_of(variant)}
        return self._resolved(name, "variant", variant, base=base, **more)

    def _check_weights(self, name: str, model: Model, search: Search) -> None:
        """Check that no search decides which pretrained weights a variant needs."""
        varied = sorted({*search.matrix} & set(DECIDE_WEIGHTS))
        pretrained = "model.pretrained" in varied or model.arguments.get("pretrained")
        if varied and pretrained and registry.library(model.name):
            self.source.fail(
                f"the search varies {', '.join(varied)}; pretrained weights are fetched "
                "before it chooses: write its choice into the variant instead",
                ("variants", name, "chosen"),
            )

    def _pretext_base(self, start: Start) -> Defaults:
        pretext = self.study.pretexts[start.pretext]
        at = ("pretexts", start.pretext, "model")
        defaults = self.study.defaults
        model = resolve_model(defaults.model, pretext.model, self.source, at)
        return Defaults(model=model, training=defaults.training)

    def _augmented(self, training: Training) -> Training:
        """Return the training with the dataset's own augmentation if it asks for it."""
        if training.augmentation != "dataset":
            return training
        own = registry.constant(DATASETS, self.study.data.dataset, "AUGMENTATION", {})
        return training.model_copy(update={"augmentation": Augmentation(**own)})

    def origin(self, search: Search) -> ResolvedVariant:
        """Return the variant whose settings a search varies, run itself or not."""
        return self._variant(search.variant, self.study.variants[search.variant])

    def _points(self, name: str, search: Search) -> Iterator[ResolvedVariant]:
        origin = self.origin(search)
        base = resolve_training(
            origin.training, search.training, self.source, ("search", name, "training")
        )
        keys = list(search.matrix)
        fixed = (*origin.fixed, *keys, *flatten(search.training, "training"))
        for values in itertools.product(*search.matrix.values()):
            settings = dict(zip(keys, values, strict=True))
            model, training = self.with_settings(origin.model, base, settings, name)
            yield ResolvedVariant(
                name=point_name(name, values),
                kind="point",
                label=", ".join(
                    f"{k.split('.', 1)[1]} {v}" for k, v in settings.items()
                ),
                model=model,
                training=self._augmented(training),
                seeds=search.seeds,
                start=origin.start,
                chosen=origin.chosen,
                fixed=fixed,
            )

    def with_settings(
        self, model: Model, training: Training, settings: Settings, search: str
    ) -> tuple[Model, Training]:
        """Return model and training with dotted settings merged over them, checked."""
        delta = nest(settings)
        at = ("search", search, "matrix")
        model_at = (*at, "model")
        model = resolve_model(model, delta.get("model", {}), self.source, model_at)
        check_model(model, self.facts, self.source, model_at)
        training = resolve_training(
            training, delta.get("training", {}), self.source, (*at, "training")
        )
        return model, training


def as_selected(study: Study) -> Study:
    """Return the study as `run` leaves it.

    A search that only variants outside `run` choose from goes; one that no variant
    chooses from is an end in itself and stays; so with pretexts. A comparison keeps the
    levels whose variants are run, and goes where fewer than two levels are left.
    """
    run = set(study.run or study.variants)

    def chosen_by(names: Iterable[str]) -> set[str]:
        choices = [study.variants[name].chosen for name in names]
        found = {choice.search for choice in choices if choice}
        earlier = {study.search[search].variant for search in found}
        return found | (chosen_by(earlier) if found else set())

    idle = chosen_by(study.variants) - chosen_by(run)
    searches = {name: s for name, s in study.search.items() if name not in idle}

    def begun_from(names: Iterable[str]) -> set[str]:
        starts = [study.variants[name].start for name in names]
        return {start.pretext for start in starts if start}

    trained = run | {search.variant for search in searches.values()}
    unused = begun_from(study.variants) - begun_from(trained)
    pretexts = {name: p for name, p in study.pretexts.items() if name not in unused}
    comparisons = {}
    for name, comparison in study.compare.items():
        levels = {k: v for k, v in comparison.levels.items() if run & set(v)}
        kept = [row for row in zip(*levels.values(), strict=True) if run >= set(row)]
        if len(levels) > 1 and kept:
            left = dict(zip(levels, zip(*kept, strict=True), strict=True))
            comparisons[name] = comparison.model_copy(update={"levels": left})
    return study.model_copy(
        update={"search": searches, "pretexts": pretexts, "compare": comparisons}
    )


def point_name(search: str, values: Iterable[Any]) -> str:
    """Return a grid point's short, stable name: `arch_3_0p5`.

    It depends on the point's own values alone. Where it would be too long for a path,
    or repeat itself (which Snakemake refuses), the values are hashed.
    """
    values = list(values)
    words = [str(value).lower().replace("_", "") for value in values]
    words = [re.sub(r"[^a-z0-9]+", "p", word) for word in words]
    name = "_".join([search, *words])
    if len(name) > LONGEST_NAME or PERIODIC.search(name):
        return f"{search}_{digest(values)}"
    return name


def settings_of(variant: Variant) -> tuple[str, ...]:
    """Return the dotted keys that a variant sets itself."""
    return tuple(flatten({"model": variant.model, "training": variant.training}))
