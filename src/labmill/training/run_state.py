"""The state of a run in progress, and its outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from labmill.core.trees import JsonObject, Settings
from labmill.training.records import BatchRow, EpochRow, RunFacts, Status
from labmill.training.step import prefixed

COUNTERS = ("epoch", "step", "seconds", "wall", "resumed")


@dataclass
class Outcome:
    """How a run ended.

    Attributes:
        weights: a file of the resulting weights.
        state: a file to continue a paused run from.
    """

    status: Status
    history: list[EpochRow]
    batches: list[BatchRow]
    facts: RunFacts
    weights: Path | None = None
    state: Path | None = None


@dataclass
class RunState:
    """How far a run is: all of its state but that of the step and of early stopping.

    Attributes:
        last: the weights after the last epoch; `best` after the best one.
        losses: one tensor for each of these steps; `correct` likewise.
        resumed: epoch and step of each restart.
    """

    last: dict[str, Tensor]
    best: dict[str, Tensor]
    epoch: int = 0  # finished epochs; `step` finished steps of the next one
    step: int = 0
    seconds: float = 0.0  # of training; `wall` seconds of earlier jobs of this run
    wall: float = 0.0
    losses: list[Tensor] = field(default_factory=list)
    correct: list[Tensor] = field(default_factory=list)
    history: list[EpochRow] = field(default_factory=list)
    batches: list[BatchRow] = field(default_factory=list)
    resumed: list[list[int]] = field(default_factory=list)

    def tensors(self, *, within: bool, best: bool) -> dict[str, Tensor]:
        """Return the tensors to save.

        `within`: whether an epoch has begun. `best`: whether the run keeps its best
        weights.
        """
        found = prefixed("best", self.best) if best else {}
        if within:
            found |= prefixed("last", self.last)
            found |= {"losses": torch.stack(self.losses)}
            found |= {"correct": torch.stack(self.correct)}
        return found

    def counters(self) -> Settings:
        """Return the rest of the state as JSON values."""
        return {name: getattr(self, name) for name in COUNTERS} | {
            "history": [row.model_dump() for row in self.history],
            "batches": [row.model_dump() for row in self.batches],
        }

    def restore(
        self,
        tensors: Mapping[str, Tensor],
        counters: JsonObject,
        device: torch.device,
    ) -> None:
        """Restore a saved state."""
        for name in COUNTERS:
            setattr(self, name, counters[name])
        self.history = [EpochRow(**row) for row in counters["history"]]
        self.batches = [BatchRow(**row) for row in counters["batches"]]
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
