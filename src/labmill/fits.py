"""What fits the dataset: each function yields the settings that cannot be met with it.

A mistake is (message, key paths that the setting may come from). Asked before anything
runs, as far as the dataset's constants tell; the jobs ask again, of the images.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from labmill.check import fail
from labmill.entries import Entry
from labmill.reading import Path_, Source
from labmill.study import MeanStd, Study

Mistakes = Iterator[tuple[str, list[Path_]]]


def check_fits(
    study: Study, entries: Iterable[Entry], facts: Mapping[str, Any], source: Source
) -> None:
    """Raise LabmillError for the first mistake. `facts`: see `check_data`."""
    for mistakes in (
        channels(study, facts),
        images_per_class(study, facts),
        unlabelled(study),
        *(part for e in entries for part in (inside(e, facts), warmup(e))),
    ):
        for message, places in mistakes:
            fail(source, message, *places)


def channels(study: Study, facts: Mapping[str, Any]) -> Mistakes:
    """Numbers of a normalisation are as many as the images have channels."""
    how, expected = study.data.normalisation, facts["in_channels"]
    for key in ("mean", "std") if isinstance(how, MeanStd) and expected else ():
        if len(getattr(how, key)) != expected:
            yield (
                f"found {len(getattr(how, key))} numbers; the images have {expected} "
                "channel(s)",
                [("data", "normalisation", key)],
            )


def images_per_class(study: Study, facts: Mapping[str, Any]) -> Mistakes:
    """Limits leave an image of every class in every part."""
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


def unlabelled(study: Study) -> Mistakes:
    """A pretext's images are there."""
    for name, pretext in study.pretexts.items():
        if pretext.images == "unlabelled" and study.data.unlabelled is None:
            yield (
                "found unlabelled; the split keeps no such images: say how many under "
                "data.unlabelled, or `images: train`",
                [("pretexts", name, "images")],
            )


def inside(entry: Entry, facts: Mapping[str, Any]) -> Mistakes:
    """Crops and holes are smaller than the image."""
    size = facts["image_size"]
    for key, most in (("crop", size and size - 1), ("cutout", size)):
        found = getattr(entry.training.augmentation, key)
        if most and found > most:
            yield (
                f"found {found}; images of {size} pixels allow at most {most}",
                places(entry, "augmentation", key),
            )


def warmup(entry: Entry) -> Mistakes:
    """The learning rate reaches its peak before the end."""
    training = entry.training
    epochs = training.until.max_epochs if training.until else training.epochs
    found = training.schedule.warmup_epochs
    if epochs and found >= epochs:
        yield (
            f"found {found:g}; the run has {epochs} epochs, so that the learning rate "
            "would never reach its peak",
            places(entry, "schedule", "warmup_epochs"),
        )


def places(entry: Entry, *key: str) -> list[Path_]:
    """Where a setting of an entry's training may come from."""
    return [
        (f"{entry.kind}s", entry.name, "training", *key),
        ("defaults", "training", *key),
    ]
