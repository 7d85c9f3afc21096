"""Check that settings fit the dataset, as far as its constants tell.

Each function yields mistakes: (message, key paths that the setting may come from). The
jobs check again, with the images.
"""

import math
from collections.abc import Iterable, Iterator

from labmill.study.check_models import Facts
from labmill.study.check_training import mixes
from labmill.study.schema import MeanStd, Search, Study
from labmill.study.search_budget import cost, epochs_of, rungs
from labmill.study.variants import ResolvedVariant, point_name
from labmill.study.yaml_source import Path_, YamlSource

Mistakes = Iterator[tuple[str, list[Path_]]]


def check_compatibility(
    study: Study,
    variants: Iterable[ResolvedVariant],
    facts: Facts,
    source: YamlSource,
) -> None:
    """Raise LabmillError for the first mistake. `facts`: see `check_data`."""
    variants = list(variants)
    for mistakes in (
        wrong_channels(study, facts),
        *(
            wrong_rungs(name, search, variants)
            for name, search in study.search.items()
            if search.method == "halving"
        ),
        too_small_limits(study, facts),
        no_unlabelled_images(study),
        *(
            part
            for variant in variants
            for part in (
                too_large_changes(variant, facts),
                too_long_warmup(variant),
                mixed_without_labels(variant, facts),
                never_validated(variant),
            )
        ),
    ):
        for message, places in mistakes:
            source.fail(message, *places)


def wrong_channels(study: Study, facts: Facts) -> Mistakes:
    """Check that a normalisation has one mean and deviation per channel."""
    how, expected = study.data.normalisation, facts["in_channels"]
    for key in ("mean", "std") if isinstance(how, MeanStd) and expected else ():
        if len(getattr(how, key)) != expected:
            yield (
                f"found {len(getattr(how, key))} numbers; the images have {expected} "
                "channel(s)",
                [("data", "normalisation", key)],
            )


def too_small_limits(study: Study, facts: Facts) -> Mistakes:
    """Check that limits leave an image of every class in every part."""
    if facts["kind"] != "image" or not facts["num_classes"]:
        return
    for key, parts in (("limit", 2), ("test_limit", 1)):
        found, least = getattr(study.data, key), parts * facts["num_classes"]
        if found is not None and found < least:
            yield (
                f"found {found}; allowed: at least {least}, one image per class in each "
                "part",
                [("data", key)],
            )


def no_unlabelled_images(study: Study) -> Mistakes:
    """Check that the split keeps the images of pretext tasks."""
    for name, pretext in study.pretexts.items():
        if pretext.images == "unlabelled" and study.data.unlabelled is None:
            yield (
                "found unlabelled; the split keeps no such images: set data.unlabelled "
                "to their number, or `images: train`",
                [("pretexts", name, "images")],
            )


def too_large_changes(variant: ResolvedVariant, facts: Facts) -> Mistakes:
    """Check that crops, cutouts and shifts are smaller than the image."""
    size = facts["image_size"]
    if size and variant.test_shift >= size:
        yield (
            f"found {variant.test_shift}; images of {size} pixels allow at most "
            f"{size - 1}",
            [("variants", variant.name, "test_shift")],
        )
    for key, most in (("crop", size and size - 1), ("cutout", size)):
        found = getattr(variant.training.augmentation, key)
        if most and found > most:
            yield (
                f"found {found}; images of {size} pixels allow at most {most}",
                setting_places(variant, "augmentation", key),
            )


def mixed_without_labels(variant: ResolvedVariant, facts: Facts) -> Mistakes:
    """Check that only images with labels are mixed."""
    augmentation = variant.training.augmentation
    assert not isinstance(augmentation, str), "resolved with the variant"
    if variant.task == "classification" and facts["kind"] == "image":
        return
    for name in filter(mixes, augmentation.registered):
        yield (
            f"{name} mixes labels, which {variant.name} does not use; set it to false "
            "there",
            setting_places(variant, "augmentation", name),
        )


def too_long_warmup(variant: ResolvedVariant) -> Mistakes:
    """Check that the learning rate reaches its peak before the end."""
    training = variant.training
    epochs = epochs_of(training)
    found = training.schedule.warmup_epochs
    if epochs and found >= epochs:
        yield (
            f"found {found:g}; the run has {epochs} epochs, so the learning rate would "
            "never reach its peak",
            setting_places(variant, "schedule", "warmup_epochs"),
        )


def never_validated(variant: ResolvedVariant) -> Mistakes:
    """Check that a search can choose its points by validation accuracy."""
    training = variant.training
    epochs = epochs_of(training)
    if variant.kind == "point" and epochs < training.evaluate_every:
        yield (
            f"found {epochs} epochs; a search chooses by validation accuracy, which is "
            f"measured every {training.evaluate_every} epochs",
            [
                ("search", variant.name, "training", "epochs"),
                *setting_places(variant, "epochs"),
            ],
        )


def wrong_rungs(
    name: str, search: Search, variants: Iterable[ResolvedVariant]
) -> Mistakes:
    """Check that halving can divide its epochs into rounds, and afford the fewest."""
    first = point_name(name, [values[0] for values in search.matrix.values()])
    point = next(v for v in variants if v.kind == "point" and v.name == first)
    factor, training = search.factor, point.training
    ends = rungs(search, training)
    for key in search.matrix:
        if key.startswith(("training.epochs", "training.until")):
            yield (
                f"found {key}; the rounds of halving need the same epochs of all points",
                [("search", name, "matrix", key)],
            )
    if len(ends) < 2:
        yield (
            f"found {ends[-1]} epochs, which factor {factor} does not divide; the nearest "
            f"that it does: {factor * max(1, round(ends[-1] / factor))}",
            [("search", name, "training", "epochs"), *setting_places(point, "epochs")],
        )
    elif ends[0] % training.evaluate_every:
        yield (
            f"found {training.evaluate_every}; rounds end after {ends} epochs, at which "
            "points are validated",
            setting_places(point, "evaluate_every"),
        )
    runs, least = search.budget and search.budget.runs, cost(factor, ends, factor)
    least *= len(search.seeds)
    if runs and runs < least - 1e-9:
        yield (
            f"found {runs}; halving begins with {factor} points or more, which take "
            f"{math.ceil(least)} runs with its rounds of {ends} epochs",
            [("search", name, "budget", "runs")],
        )


def setting_places(variant: ResolvedVariant, *key: str) -> list[Path_]:
    """Return the key paths that a training setting may come from."""
    return [
        (f"{variant.kind}s", variant.name, "training", *key),
        ("defaults", "training", *key),
    ]
