"""What a study trains: its variants, pretexts and search points, fully resolved."""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from labmill import registry
from labmill.check import check_model
from labmill.errors import LabmillError
from labmill.loading import resolve_model, resolve_training
from labmill.reading import Source, merged
from labmill.study import (
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


class Entries(dict[str, Entry]):
    """All entries of a study, by name: pretexts, variants, points.

    Args:
        study: the checked study.
        source: its file, for messages.
        facts: `num_classes`, `image_size`, `in_channels` of its images.

    Raises:
        LabmillError: a model, recipe or name is wrong.
    """

    def __init__(self, study: Study, source: Source, facts: dict[str, Any]) -> None:
        super().__init__()
        self.study, self.source, self.facts = study, source, facts
        self._declare()

    def _declare(self) -> None:
        for name, pretext in self.study.pretexts.items():
            self.add(self._resolved(name, "pretext", pretext, task=pretext.task))
        selected = self.study.run or tuple(self.study.variants)
        needed = {self.study.search[s].variant for s in self.study.search}
        for name, variant in self.study.variants.items():
            if name in selected:
                self.add(self._variant(name, variant))
            elif name in needed:
                self._variant(name, variant)
        for stage, search in self.study.search.items():
            for entry in self._points(stage, search):
                self.add(entry)

    def add(self, entry: Entry) -> None:
        """Put in one more; LabmillError when its name is taken."""
        if entry.name in self:
            raise LabmillError(
                f"{self.source.path}: {entry.kind} {entry.name!r} has the name of a "
                f"{self[entry.name].kind}; rename one of them"
            )
        self[entry.name] = entry

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
        training = self._augmented(training)
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
            origin = self.origin(search)
            base = Defaults(model=origin.model, training=origin.training)
            more |= {"chosen": variant.chosen, "fixed": settings_of(variant)}
        return self._resolved(name, "variant", variant, base=base, **more)

    def _pretext_base(self, start: Start) -> Defaults:
        pretext = self.study.pretexts[start.pretext]
        at = ("pretexts", start.pretext, "model")
        defaults = self.study.defaults
        model = resolve_model(defaults.model, pretext.model, self.source, at)
        return Defaults(model=model, training=defaults.training)

    def _augmented(self, training: Training) -> Training:
        """The recipe with the dataset's own augmentation where it asks for that."""
        if training.augmentation != "dataset":
            return training
        dataset = self.study.data.dataset
        own = Augmentation(**registry.constant("data", dataset, "AUGMENTATION", {}))
        return training.model_copy(update={"augmentation": own})

    def origin(self, search: Search) -> Entry:
        """The variant whose settings a search varies, run itself or not."""
        return self._variant(search.variant, self.study.variants[search.variant])

    def _points(self, stage: str, search: Search) -> Iterable[Entry]:
        origin = self.origin(search)
        base = resolve_training(
            origin.training, search.training, self.source, ("search", stage, "training")
        )
        keys = list(search.matrix)
        for values in itertools.product(*search.matrix.values()):
            settings = dict(zip(keys, values, strict=True))
            model, training = self.with_settings(origin.model, base, settings, stage)
            training = self._augmented(training)
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


def as_selected(study: Study) -> Study:
    """The study as `run` leaves it.

    A search that only variants outside `run` choose from goes; one that no variant
    chooses from is an end in itself and stays; so with pretexts. A comparison keeps the
    levels and places whose variants are run, and goes where fewer than two levels are
    left.
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


def point_name(stage: str, values: Iterable[Any]) -> str:
    """A grid point's short, stable name: `arch_3_0p5`; no other value changes it."""
    words = [str(value).lower().replace("_", "") for value in values]
    words = [re.sub(r"[^a-z0-9]+", "p", word) for word in words]
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
