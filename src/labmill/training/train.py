"""Rule train: one run, from its settings to its weights on disk."""

import csv
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from labmill import checkpoint, registry
from labmill.columns import HISTORY
from labmill.data.arrays import gather
from labmill.data.augment import normaliser
from labmill.errors import LabmillError
from labmill.runtime import atomic_write, read_json
from labmill.study import MeanStd, Run
from labmill.training.fit import fit
from labmill.training.initialise import initialise, seeded
from labmill.training.record import Outcome

log = logging.getLogger("labmill")

BATCHES = ("epoch", "step", "images", "loss", "accuracy")
# Images that a model with a method `prepare` sets itself up from before training.
PREPARED_FROM = 2000


@dataclass(frozen=True)
class Parts:
    """What `fit` reads, with the part that the run trains on as `train`."""

    images: np.ndarray
    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray


def train(
    run: Run,
    *,
    images: Path,
    card: Path,
    split: Path,
    start: Path | None,
    model: Path,
    description: Path,
    history: Path,
    batches: Path | None,
    state: Path,
    provenance: Mapping[str, Any],
    threads: int = 1,
    device: str | None = None,
    progress: bool = True,
) -> None:
    """Train one run and write its outputs, the weights last.

    images, split: the pool and the study's split, which has the labels; card: the
    dataset's; start: weights to begin from, all but the head's;
    state: a folder of the run's own, from which an interrupted run goes on.
    """
    about = read_json(card)
    data = parts(run, images, split)
    classes = 4 if run.task == "rotation" else int(data.labels.max()) + 1
    # What a sequence model tells apart are tokens, whatever the sequences' labels.
    classes = about.get("vocabulary") or classes
    spec = {
        "name": run.model.name,
        "arguments": run.model.arguments,
        "num_classes": classes,
        "image_size": about["image_size"],
        "in_channels": about["channels"],
    }
    how = run.normalisation
    normalisation = normaliser(
        about, how.model_dump() if isinstance(how, MeanStd) else how
    )
    network = seeded(run.seed, lambda: fresh(run, spec))
    if start is not None:
        begin_from(network, start)
    elif hasattr(network, "prepare"):
        network.prepare(first_images(data, normalisation))
    if run.start is not None and run.start.freeze:
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name.startswith("head."))
    outcome = fit(
        network,
        run.training,
        data,
        seed=run.seed,
        normalisation=normalisation,
        state=state,
        channels_last=channels_last(run.model.name),
        device=device,
        progress=progress,
        task=registry.constant("models", run.model.name, "KIND", run.task),
        threads=threads,
    )
    write(outcome, history, batches)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    facts = {"status": outcome.status, "parameters": parameters, **outcome.facts}
    checkpoint.save(
        network,
        {**spec, "training": facts},
        model,
        description,
        provenance,
        link=outcome.weights,
    )


def fresh(run: Run, spec: Mapping[str, Any]) -> nn.Module:
    """The network of a run, newly initialised."""
    shape = {key: spec[key] for key in checkpoint.SHAPE}
    network = checkpoint.build(run.model.name, **shape, **run.model.arguments)
    initialise(network, run.training.initialisation)
    return network


def parts(run: Run, images: Path, split: Path) -> Parts:
    """The images and indices that a run may see."""
    with np.load(split) as file:
        indices = {name: file[name] for name in file.files}
    seen = indices[run.images]
    if len(seen) <= run.after:
        raise LabmillError(
            f"{split}: the part {run.images!r} has no images"
            + (f" after the first {run.after}; it has {len(seen)}" if run.after else "")
        )
    return Parts(
        np.load(images, mmap_mode="r"),
        indices["labels"],
        seen[run.after :],
        indices["validation"],
    )


def first_images(data: Parts, normalisation: tuple[Tensor, Tensor]) -> Tensor:
    """The first training images, normalised, float32 (n, C, H, W), for `prepare`."""
    mean, std = normalisation
    pixels = torch.from_numpy(gather(data.images, data.train[:PREPARED_FROM]))
    return (pixels / 255 - mean) / std


def channels_last(name: str) -> bool:
    """Whether a model wants its images as (height, width, channel) in memory."""
    return bool(registry.constant("models", name, "CHANNELS_LAST", False))


def begin_from(network: nn.Module, start: Path) -> None:
    """Fill all but the head with the weights of a pretext run."""
    kept = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if name.startswith("head.")
    }
    found = {
        name: tensor
        for name, tensor in checkpoint.read_tensors(start).items()
        if not name.startswith("head.")
    }
    checkpoint.fill(network, {**found, **kept}, start)


def write(outcome: Outcome, history: Path, batches: Path | None) -> None:
    """The tables of a run."""
    write_table(history, HISTORY, outcome.history)
    if batches is not None:
        write_table(batches, BATCHES, outcome.batches)


def write_table(
    path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """A CSV file; None becomes an empty cell."""
    with atomic_write(path) as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
