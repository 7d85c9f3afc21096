"""Check that a study's networks and own code work for its images, before training.

Networks are built by torch in a separate process, on the meta device; own metrics, losses,
optimizers and augmentations are called there with made-up numbers. What worked once is
remembered, until its code changes. Own figures need results, and own datasets are read by
the first job.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import NoReturn

from labmill.core import registry
from labmill.core.digest_cache import Remembered
from labmill.core.fingerprint import code_fingerprints, digest
from labmill.core.registry import FACTS
from labmill.core.trees import JsonObject, Settings
from labmill.study.check_models import DATASETS, MODELS, SHARED, Facts
from labmill.study.check_training import AUGMENTATIONS
from labmill.study.load import resolve_training
from labmill.study.schema import Study, Training
from labmill.study.variants import ResolvedVariant
from labmill.study.yaml_source import Path_, YamlSource

# Weights, gradients and two moments of so many take 16 GB.
MOST_PARAMETERS = 10**9
TIMEOUT = 120
# Kind → options of a training that its entries get, and the facts that a trial needs.
USED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "losses": (("loss", "loss_arguments", "label_smoothing"), ("num_classes",)),
    "optimizers": (("optimizer", "optimizer_arguments", *SHARED), ()),
    AUGMENTATIONS: (("augmentation",), ("image_size", "in_channels")),
}


def check_networks(
    variants: Iterable[ResolvedVariant],
    facts: Facts,
    source: YamlSource,
    study: Study,
) -> None:
    """Try every network, without weights, and every entry of the user's once."""
    tried, variants = Remembered("networks"), [*variants]
    new: dict[str, tuple[ResolvedVariant | Path_, Settings]] = {}
    trials: list[tuple[ResolvedVariant | Path_, Settings]] = [
        *networks_of(variants, facts, uses_of(study)),
        *own_entries(variants, facts, source, study),
    ]
    for used_by, item in trials:
        if (key := trial_key(item)) not in tried:
            new.setdefault(key, (used_by, item))
    answers = try_all([item for _, item in new.values()])
    for (used_by, item), answer in zip(new.values(), answers, strict=False):
        if isinstance(answer, str) or answer > MOST_PARAMETERS:
            fail(source, used_by, item, answer)
    if answers:
        tried.add(new)


def networks_of(
    variants: Iterable[ResolvedVariant],
    facts: Facts,
    uses: Mapping[str, set[str]],
) -> Iterator[tuple[ResolvedVariant, Settings]]:
    """Yield every variant with its network's name and arguments."""
    for variant in variants:
        name = variant.model.name
        known = {argument.name for argument in registry.arguments(MODELS, name)}
        if registry.is_own(MODELS, name):
            # Its logits are compared with the facts, whether it takes them or not.
            known = {*FACTS}
        given = {key: value for key, value in facts.items() if key in known and value}
        if variant.task == "rotation":
            given["num_classes"] = 4
        if "image_size" in known and "image_size" not in given:
            continue
        network: Settings = {"name": name}
        network["arguments"] = {**given, **variant.model.arguments}
        if registry.is_foreign(name):
            network["use"] = sorted(uses.get(variant.name, ()))
        yield variant, network


def uses_of(study: Study) -> dict[str, set[str]]:
    """Return the sections of the study that need more of a network, by variant."""
    found: dict[str, set[str]] = {}
    sections: list[tuple[str, Iterable[str]]] = [
        *(("pruning", loop.variants) for loop in study.pruning.values()),
        ("pretexts", study.pretexts),
        ("start", (name for name, v in study.variants.items() if v.start)),
        *(
            (key, section.variants)
            for key in ("represent", "influence")
            if (section := getattr(study, key))
        ),
    ]
    for section, names in sections:
        for name in names:
            found.setdefault(name, set()).add(section)
    return found


def own_entries(
    variants: Iterable[ResolvedVariant],
    facts: Facts,
    source: YamlSource,
    study: Study,
) -> Iterator[tuple[Path_, Settings]]:
    """Yield where the study uses an entry of the user's, and what is tried of it."""
    logits = facts["num_classes"]
    if facts["kind"] == "sequence":
        # Those of the answers: one is each class, or neither.
        logits = 1 + len(registry.constant(DATASETS, study.data.dataset, "CLASSES"))
    for index, name in enumerate(study.metrics):
        if logits and registry.is_own("metrics", name):
            yield (
                ("metrics", index),
                {"kind": "metrics", "name": name, "facts": {"num_classes": logits}},
            )
    for at, task, training in trainings(variants, source, study):
        given: Settings = {**facts} | ({"num_classes": 4} if task == "rotation" else {})
        named = [("losses", training.loss), ("optimizers", training.optimizer)]
        if not isinstance(training.augmentation, str):
            named += [(AUGMENTATIONS, one) for one in training.augmentation.registered]
        for kind, name in named:
            options, needed = USED[kind]
            if (
                name in registry.names(kind)
                and registry.is_own(kind, name)
                and all(given[fact] for fact in needed)
            ):
                settings = training.model_dump(mode="json", include={*options})
                tried = {"kind": kind, "name": name, "facts": given}
                yield at, tried | {"training": settings}


def trainings(
    variants: Iterable[ResolvedVariant], source: YamlSource, study: Study
) -> Iterator[tuple[Path_, str, Training]]:
    """Yield place, task and settings of every training, fine-tuning included."""
    for variant in variants:
        at = (table_of(variant), variant.name, "training")
        yield at, variant.task, variant.training
        for name, loop in study.pruning.items():
            if variant.name in loop.variants and loop.finetune:
                at = ("pruning", name, "finetune")
                tuned = resolve_training(variant.training, loop.finetune, source, at)
                yield at, variant.task, tuned


def table_of(variant: ResolvedVariant) -> str:
    """Return the section of the study that a variant is in."""
    return "search" if variant.kind == "point" else f"{variant.kind}s"


def trial_key(item: Settings) -> str:
    """Return a digest of what is tried and its code."""
    kind = item.get("kind", MODELS)
    return digest([item, code_fingerprints([registry.module(kind, item["name"])])])


def try_all(items: list[Settings]) -> list[int | str]:
    """Try all items; return nothing where the process itself fails.

    Code of the user's that ends the process, or never ends, is found, since each is
    then tried alone.
    """
    if not items:
        return []
    try:
        done = subprocess.run(
            [sys.executable, "-m", "labmill.conformance.try_build"],
            input=json.dumps(items),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=True,
        )
        answers: list[int | str] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        late = isinstance(error, subprocess.TimeoutExpired)
        if len(items) > 1:
            # Many large networks may take long, which is no mistake of the study.
            alone = [try_all([it]) if is_own(it) or not late else [] for it in items]
            return [answer for one in alone for answer in one or [0]]
        told = "ends the process that tries it"
        if late:
            told = f"not finished after {TIMEOUT} s; does a loop never end?"
        return [told] if is_own(items[0]) else []
    return answers


def is_own(item: Settings) -> bool:
    """Return True if what is tried is an entry of the user's."""
    return registry.is_own(item.get("kind", MODELS), item["name"])


def fail(
    source: YamlSource,
    used_by: ResolvedVariant | Path_,
    item: JsonObject,
    answer: int | str,
) -> NoReturn:
    """Raise the message about one network, or one entry of the user's."""
    name = item["name"]
    if not isinstance(used_by, ResolvedVariant):
        where = registry.place(item["kind"], name)
        told = f"{answer}".startswith(where)
        defaults = ("defaults", *used_by[2:])
        source.fail(f"{answer}" if told else f"{where}: {answer}", used_by, defaults)
    size = item["arguments"].get("image_size")
    hint = "; `resize` scales images" if registry.library(name) else ""
    reason = (
        f"cannot be used for images of {size} pixels: {answer}{hint}"
        if isinstance(answer, str)
        else f"has {answer:,} parameters; at most {MOST_PARAMETERS:,} are allowed"
    )
    source.fail(
        f"{used_by.name}: {name} {reason}",
        (table_of(used_by), used_by.name, "model"),
        ("defaults", "model"),
    )
