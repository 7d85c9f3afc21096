"""Rule train: one run, from its settings to its weights on disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from labmill.core import registry
from labmill.core.logs import log
from labmill.core.records import Provenance
from labmill.data.arrays import gather
from labmill.data.records import Card
from labmill.models.foreign import needed_head
from labmill.study.schema import MeanStd, Run
from labmill.training import checkpoint
from labmill.training.initialization import initialise, seeded
from labmill.training.inputs import DatasetFiles, TrainingImages, TrainingJob
from labmill.training.layer_rates import freeze_body
from labmill.training.network import channels_last
from labmill.training.records import ModelDescription
from labmill.training.run_files import RunFiles
from labmill.training.trainer import fit

# Images from which a model with a method `prepare` sets itself up before training.
PREPARED_FROM = 2000


def train(
    run: Run,
    files: DatasetFiles,
    *,
    start: Path | None,
    weights: Path | None = None,
    out: RunFiles,
    state: Path,
    provenance: Provenance,
    same: Path | None = None,
    threads: int = 1,
    progress: bool = True,
    paused: Path | None = None,
    pause: int | None = None,
) -> None:
    """Train one run and write its files.

    `start`: weights to begin from, except the head's; `weights`: likewise, of another
    library's network; `paused`: a state to continue from; `pause`: the epoch after
    which to stop; `same`: model.json of a run that is copied if it has the same
    settings.
    """
    if same is not None and is_same(run, same):
        log.info("the search chose the settings of %s: copying that run", same.parent)
        out.copy(same, provenance)
        return
    card = Card.read(files.card)
    data = files.training_images(run.images, after=run.after)
    classes = 4 if run.task == "rotation" else int(data.labels.max()) + 1
    shape = {
        # A sequence model tells tokens apart, whatever the sequences' labels.
        "num_classes": card.vocabulary or classes,
        "image_size": card.image_size,
        "in_channels": card.channels,
    }
    how = run.normalisation
    normalisation = files.normalisation(
        how.model_dump() if isinstance(how, MeanStd) else how
    )
    network: Any = seeded(run.seed, lambda: fresh(run, shape))
    if start is not None:
        begin_from(network, checkpoint.read_tensors(start), start)
    elif weights is not None:
        library = registry.load("models", run.model.name)
        found = checkpoint.read_tensors(weights)
        network_name = run.model.arguments["network"]
        fitted = seeded(
            run.seed, lambda: library.fit_weights(network, found, network_name)
        )
        begin_from(network, fitted, weights)
    elif hasattr(network, "prepare"):
        network.prepare(first_images(data, normalisation))
    if run.start is not None and run.start.freeze:
        freeze_body(network)
    job = TrainingJob(
        training=run.training,
        data=data,
        seed=run.seed,
        normalisation=normalisation,
        channels_last=channels_last(run.model.name),
        state=state,
        pause=pause,
        threads=threads,
        task=registry.constant("models", run.model.name, "KIND", run.task),
        progress=progress,
    )
    outcome = fit(network, job, paused)
    out.write(
        network,
        outcome,
        name=run.model.name,
        arguments=run.model.arguments,
        shape=shape,
        provenance=provenance,
    )


def is_same(run: Run, description: Path) -> bool:
    """Return True if a trained run differs from this one in its name alone."""
    settings = ModelDescription.read(description).provenance.settings
    other = Run.model_validate(settings, strict=False)
    named = {"variant", "rank", "fixed", "test_flip"}
    return run.model_dump(exclude=named) == other.model_dump(exclude=named)


def fresh(run: Run, shape: Mapping[str, int]) -> nn.Module:
    """Build the network of a run with initial weights."""
    network = checkpoint.build(run.model.name, **shape, **run.model.arguments)
    initialise(network, run.training.initialisation)
    return network


def first_images(data: TrainingImages, normalisation: tuple[Tensor, Tensor]) -> Tensor:
    """Return the first training images, normalised, float32 (n, C, H, W)."""
    mean, std = normalisation
    pixels = torch.from_numpy(gather(data.images, data.train[:PREPARED_FROM]))
    return (pixels / 255 - mean) / std


def begin_from(network: nn.Module, weights: Mapping[str, Tensor], source: Path) -> None:
    """Fill all but the head with other weights."""
    head = needed_head(network)
    own = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if name.startswith(f"{head}.")
    }
    found = {
        name: tensor
        for name, tensor in weights.items()
        if not name.startswith(f"{head}.")
    }
    checkpoint.fill(network, {**found, **own}, source)
