"""What every stage of a prune loop begins with and ends with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from labmill import checkpoint
from labmill.measure.operations import count
from labmill.search.chosen import resolved_run
from labmill.study import Run, Training
from labmill.trained import Trained
from labmill.training.fit import fit
from labmill.training.record import Normalisation, Outcome
from labmill.training.train import Parts, channels_last, parts, write


@dataclass(frozen=True)
class Opened:
    """A network from its files, and the images that go with it.

    run: with what a search chose laid over it; spec: model.json.
    """

    run: Run
    data: Parts
    scale: Normalisation
    network: nn.Module
    spec: dict[str, Any]

    @property
    def channels_last(self) -> bool:
        """Whether the network wants its images so."""
        return channels_last(self.spec["name"])

    def fit(
        self,
        network: nn.Module,
        training: Training,
        *,
        axis: str,
        state: Path,
        threads: int,
        device: str | None,
    ) -> Outcome:
        """Train `network`, this one or one in its place, on the same images."""
        return fit(
            network,
            training,
            self.data,
            seed=self.run.seed,
            normalisation=self.scale,
            state=state,
            channels_last=self.channels_last,
            device=device,
            axis=axis,
            threads=threads,
        )


def opened(
    settings: Mapping[str, Any], trained: Trained, chosen: Path | None = None
) -> Opened:
    """Read a network. settings: a run's, `training` included."""
    run = resolved_run(dict(settings), chosen)
    return Opened(
        run=run,
        data=parts(run, trained.images, trained.split),
        scale=trained.normaliser(settings["normalisation"]),
        network=trained.network(),
        spec=trained.facts(),
    )


def close(
    opened: Opened,
    network: nn.Module,
    outcome: Outcome,
    *,
    model_out: Path,
    description_out: Path,
    history: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write a network that was trained and what one image costs it, the weights last."""
    write(outcome, history, None)
    size = {
        "parameters": sum(p.numel() for p in network.parameters()),
        "macs": macs(network),
    }
    facts = {"status": outcome.status, **size, **outcome.facts}
    spec = {key: opened.spec[key] for key in ("name", "arguments", *checkpoint.SHAPE)}
    checkpoint.save(
        network,
        {**spec, "training": facts},
        model_out,
        description_out,
        provenance,
        link=outcome.weights,
    )


def macs(network: nn.Module) -> int:
    """Multiply-adds for one image."""
    facts = network.arguments()
    size = facts["image_size"]
    return count(network, (facts["in_channels"], size, size)).total.operations
