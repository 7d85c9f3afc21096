"""Recompute split and labels from the dataset and the split's seed."""

import hashlib
import tempfile
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import numpy as np

from labmill.archive.records import Opened, read_arrays
from labmill.core.errors import LabmillError
from labmill.core.fingerprint import dataset_key
from labmill.core.trees import JsonObject
from labmill.data.records import Card
from labmill.data.split import split
from labmill.data.stratify import SplitSettings

COMPARED = ("digest", "classes", "image_size", "channels", "official", "mean", "std")
PARTS = {
    "split.npz": ("train", "validation", "unlabelled", "labels"),
    "test.npz": ("test", "labels"),
}


def split_mismatches(opened: Opened, data: Path) -> tuple[list[str], list[str]]:
    """Compare split and labels with those that dataset and seed give.

    Return what differs, and why nothing could be compared.
    """
    settings = opened.index["provenance"]["settings"]["study"]["data"]
    key = dataset_key(settings["dataset"], settings["arguments"])
    folder = data / key
    for name in ("images.npy", "labels.npy", "card.json"):
        if not (folder / name).is_file():
            return [], [f"split and labels: {folder / name} is not here"]
    if problem := dataset_problem(folder):
        return [f"data/{key}: {problem}"], []
    found = card_mismatches(opened, folder)
    for at, seed in splits_of(opened).items():
        with tempfile.TemporaryDirectory() as temporary:
            made = Path(temporary)
            split_again(settings | {"split_seed": seed}, folder, made)
            for file, names in PARTS.items():
                with np.load(at / file) as old, np.load(made / file) as new:
                    where = (at / file).relative_to(opened.folder)
                    found += [
                        f"{where}: {name} is not what dataset and split seed give"
                        for name in names
                        if not np.array_equal(old[name], new[name])
                    ]
    return found, []


def splits_of(opened: Opened) -> dict[Path, int]:
    """Return the folder of every split, with its seed."""
    study = opened.index["provenance"]["settings"]["study"]
    data, seeds = study["data"], study["seeds"]
    own = data.get("split_seeds") or [data["split_seed"]]
    later = seeds[1:] if data.get("split_seeds") else []
    folders = [opened.folder / f"splits/seed{seed}" for seed in later]
    return dict(zip([opened.folder, *folders], own, strict=True))


def split_folder(opened: Opened, run: JsonObject) -> Path:
    """Return the folder of the split that a run used."""
    own = opened.file(run, "split")
    return own.parent if own else opened.folder


def split_again(settings: JsonObject, folder: Path, out: Path) -> None:
    """Write split.npz, test.npz and split.json of a study's data settings to `out`."""
    names = {one.name for one in fields(SplitSettings)}
    out.mkdir(parents=True, exist_ok=True)
    split(
        SplitSettings(**{key: settings[key] for key in names & settings.keys()}),
        images=folder / "images.npy",
        labels=folder / "labels.npy",
        card=folder / "card.json",
        split=out / "split.npz",
        test=out / "test.npz",
        summary=out / "split.json",
    )


def dataset_problem(folder: Path) -> str | None:
    """Return what is wrong with a dataset, by the digest in its card; None if nothing."""
    try:
        card = Card.read(folder / "card.json")
        images = np.load(folder / "images.npy", mmap_mode="r")
        labels = np.load(folder / "labels.npy", mmap_mode="r")
    except (OSError, ValueError, LabmillError) as error:
        return f"cannot be read: {error}"
    digest = hashlib.sha256(repr(images.shape).encode())
    digest.update(np.ascontiguousarray(images).data)
    digest.update(np.ascontiguousarray(labels).data)
    if digest.hexdigest() != card.digest:
        return "images.npy or labels.npy is not what card.json says"
    return None


def card_mismatches(opened: Opened, folder: Path) -> list[str]:
    """Compare the dataset that comes with the results with the one in `folder`."""
    packed = opened.root / "data" / folder.name
    found = []
    if packed.resolve() != folder.resolve() and (packed / "card.json").is_file():
        known, stored = (Card.read(one / "card.json") for one in (folder, packed))
        found += [
            f"data/{folder.name}/card.json: {key} is not that of the dataset here"
            for key in COMPARED
            if getattr(stored, key) != getattr(known, key)
        ]
        shown = packed / "shown.npz"
        if shown.is_file():
            images = np.load(folder / "images.npy", mmap_mode="r")
            arrays, same = read_arrays(shown), False
            with suppress(KeyError, IndexError):
                same = np.array_equal(arrays["images"], images[arrays["indices"]])
            if not same:
                name = f"data/{folder.name}/shown.npz"
                found.append(f"{name}: other images than the dataset's")
    return found
