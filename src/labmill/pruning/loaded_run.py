"""Load a network to prune or train further, and save the result."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from labmill.core.records import Provenance
from labmill.core.trees import JsonObject
from labmill.flops.counter import count
from labmill.models.foreign import arguments_of
from labmill.search.chosen_settings import resolved_run
from labmill.stats.randomness import seed_for
from labmill.study.schema import Run, Training
from labmill.training.inputs import TrainingJob
from labmill.training.records import ModelDescription
from labmill.training.run_files import RunFiles
from labmill.training.run_state import Outcome
from labmill.training.trained_model import TrainedModel
from labmill.training.trainer import fit


@dataclass(frozen=True)
class LoadedRun:
    """A trained network, and what its training needs."""

    run: Run  # its settings, with those that a search chose
    job: TrainingJob  # its training
    network: nn.Module
    about: ModelDescription  # model.json

    def fit(self, network: nn.Module, training: Training, *, axis: str) -> Outcome:
        """Train `network` on the run's images, with random numbers of `axis`."""
        seed = seed_for(self.run.seed, axis)
        return fit(network, replace(self.job, training=training, seed=seed))

    def save(
        self,
        network: nn.Module,
        outcome: Outcome,
        out: RunFiles,
        provenance: Provenance,
    ) -> None:
        """Write a network that was trained in place of this one."""
        out.write(
            network,
            outcome,
            name=self.about.name,
            arguments=self.about.arguments,
            shape=self.about.shape,
            provenance=provenance,
            macs=macs(network),
        )


def load_run(
    settings: JsonObject,
    trained: TrainedModel,
    *,
    chosen: Path | None = None,
    state: Path = Path(),
    threads: int = 1,
) -> LoadedRun:
    """Load a network with its images."""
    run = resolved_run(dict(settings), chosen)
    job = TrainingJob(
        training=run.training,
        data=trained.training_images(run.images, after=run.after),
        seed=run.seed,
        normalisation=trained.normalisation(settings["normalisation"]),
        channels_last=trained.channels_last,
        state=state,
        threads=threads,
    )
    return LoadedRun(run, job, trained.network(), trained.about)


def macs(network: Any) -> int:
    """Return the multiply-adds of one image."""
    arguments = arguments_of(network)
    size = arguments["image_size"]
    return count(network, (arguments["in_channels"], size, size)).total.operations
