"""What goes into a run, what it has made so far, and what comes out of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from labmill.errors import LabmillError
from labmill.study import Training
from labmill.training.step import prefixed

Normalisation = tuple[Sequence[float] | Tensor, Sequence[float] | Tensor]


class Data(Protocol):
    """What `fit` reads: images uint8 (N, C, H, W), labels int64 (N,), -1 where unknown,
    and int64 indices of the parts."""

    images: np.ndarray
    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray


@dataclass
class Outcome:
    """How a run ended.

    status: completed, converged, reached_target, stopped_early or diverged; history: a
    row per epoch; batches: a row per `log_batches` steps; facts: device, precision,
    seconds and the like; weights: a file of the resulting weights.
    """

    status: str
    history: list[dict[str, Any]]
    batches: list[dict[str, Any]]
    facts: dict[str, Any] = field(default_factory=dict)
    weights: Path | None = None


@dataclass
class Record:
    """Where a run stands: all of its state but learner and watch.

    epoch, step: epochs done, and steps of the next one; losses, correct: a tensor for
    each of these steps; history: a row per epoch; batches: rows per batch; seconds: of
    training; wall: seconds of earlier jobs; resumed: epoch and step of each going on;
    last, best: the weights after the last epoch and after the best one.
    """

    last: dict[str, Tensor]
    best: dict[str, Tensor]
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    wall: float = 0.0
    losses: list[Tensor] = field(default_factory=list)
    correct: list[Tensor] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    batches: list[dict[str, Any]] = field(default_factory=list)
    resumed: list[list[int]] = field(default_factory=list)

    def tensors(self, *, within: bool, best: bool) -> dict[str, Tensor]:
        """What a state saved within an epoch, or of a run that keeps its best, holds."""
        found = prefixed("best", self.best) if best else {}
        if within:
            found |= prefixed("last", self.last)
            found |= {"losses": torch.stack(self.losses)}
            found |= {"correct": torch.stack(self.correct)}
        return found

    def counters(self) -> dict[str, Any]:
        """The rest of a state, as JSON values."""
        return {name: getattr(self, name) for name in COUNTERS}

    def restore(
        self, tensors: dict[str, Tensor], counters: dict[str, Any], device: torch.device
    ) -> None:
        """Stand again where a state was saved."""
        for name in COUNTERS:
            setattr(self, name, counters[name])
        self.resumed = [*self.resumed, [self.epoch, self.step]]
        for name in ("last", "best"):
            part = {
                key.removeprefix(f"{name}."): tensor.to(device)
                for key, tensor in tensors.items()
                if key.startswith(f"{name}.")
            }
            if part:
                setattr(self, name, part)
        if self.step:
            self.losses = list(tensors["losses"].to(device))
            self.correct = list(tensors["correct"].to(device))


COUNTERS = ("epoch", "step", "seconds", "wall", "history", "batches", "resumed")


def chosen(data: Data, training: Training) -> np.ndarray:
    """The training images of a run; LabmillError when the settings do not fit."""
    part = data.train
    if training.labels is not None and training.labels > len(part):
        raise LabmillError(
            f"training.labels: found {training.labels}; the split has {len(part)} "
            "training images"
        )
    part = part[: training.labels]
    if not len(part):
        raise LabmillError("the split has no training images")
    for rule in ("converged", "early_stopping"):
        if getattr(training, rule) and not len(data.validation):
            raise LabmillError(f"training.{rule}: the split has no validation images")
    return part
