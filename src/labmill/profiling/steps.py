"""Time the phases of training steps."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.profiler import record_function

from labmill.profiling.latency import now, own_time
from labmill.profiling.records import StepTime
from labmill.profiling.trace import PHASE, PHASES
from labmill.training.inputs import TrainingJob
from labmill.training.network import training_mode
from labmill.training.optimizers import learning_rate
from labmill.training.resume import Stop, Store
from labmill.training.step import TrainStep
from labmill.training.trainer import Trainer

WARM_UP_S = 0.3
Seconds = dict[str, float]


class Clock:
    """Seconds per phase. `marks` off: none; `annotate`: also ranges for the profiler."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.marks, self.annotate = True, False
        self.spent: defaultdict[str, float] = defaultdict(float)
        self.phase: str | None = None
        self.since = 0.0
        self.range: record_function | None = None

    def begin(self, phase: str | None) -> None:
        """End the phase that runs, if any, and begin another, if any."""
        if not self.marks:
            return
        moment = now(self.device)
        if self.phase is not None:
            self.spent[self.phase] += moment - self.since
        if self.range is not None:
            self.range.__exit__(None, None, None)
            self.range = None
        if self.annotate and phase is not None:
            self.range = record_function(f"{PHASE}{phase}")
            self.range.__enter__()
        self.phase, self.since = phase, moment


class MarkedStep(TrainStep):
    """A training step that marks its phases on a clock, and computes the same."""

    clock: Clock

    def forward(
        self, model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor
    ) -> tuple[Tensor, Tensor]:
        def marked(x: Tensor) -> Tensor:
            self.clock.begin("forward")
            outputs = model(x)
            self.clock.begin("loss")
            return outputs

        result = super().forward(marked, x, y)
        self.clock.begin("backward")
        return result

    def finish(self, *arguments: Any, **named: Any) -> None:
        self.clock.begin("optimizer")
        super().finish(*arguments, **named)
        self.clock.begin("bookkeeping")


class Steps:
    """Warmed-up training steps of one network, in the pieces of its batches.

    Steps run operation by operation even where a run compiles them, since a compiled
    step has no phases. Nothing is saved.
    """

    def __init__(
        self, model: nn.Module, job: TrainingJob, device: torch.device
    ) -> None:
        self.trainer = Trainer(
            model, job, device=device, store=Store(job.state), stop=Stop()
        )
        plain = self.trainer.step
        self.step = MarkedStep(plain.model, plain.task, plain.training, plain.precision)
        self.trainer.step = self.step
        self.clock = self.step.clock = Clock(device)
        self.batches, self.model, self.device = self.trainer.batches, model, device
        self.pieces = -(-self.batches.steps // self.batches.per_piece)
        training_mode(model)
        deadline, number, feed = time.perf_counter() + WARM_UP_S, 0, self.feed()
        while number < 3 or time.perf_counter() < deadline:
            self.one(feed)
            number += 1

    def feed(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches, epoch after epoch."""
        epoch = 0
        while True:
            yield from self.batches.epoch(epoch)
            epoch += 1

    def one(self, feed: Iterator[tuple[Tensor, Tensor]]) -> None:
        """Take one step: fetch a batch, learn from it."""
        self.clock.begin("data")
        x, y = next(feed)
        rate = learning_rate(self.step.training, 0, self.batches.steps)
        self.step.eager(x, y, rate)
        self.clock.begin(None)

    def piece(
        self, feed: Iterator[tuple[Tensor, Tensor]], number: int, *, marks: bool
    ) -> Seconds:
        """Return the seconds of one piece of an epoch: `total` and by phase, and its `steps`."""
        size = self.batches.per_piece
        size = min(size, self.batches.steps - (number % self.pieces) * size)
        self.clock.marks = marks
        self.clock.spent.clear()
        began = now(self.device)
        for _ in range(size):
            self.one(feed)
        self.clock.marks = True
        total = now(self.device) - began
        return {"steps": size, "total": total, **self.clock.spent}

    def timed(self, seconds: float) -> tuple[StepTime, dict[str, float]]:
        """Time steps for about that long: as a whole, and in milliseconds per phase.

        Pieces without and with marks take turns. An epoch's first piece also draws its
        order and augmentation, so a step's mean is that of a whole epoch.
        """
        plain, marked = self.feed(), self.feed()
        found: tuple[list[Seconds], list[Seconds]] = ([], [])
        deadline, number = now(self.device) + seconds, 0
        while number < 3 or (now(self.device) < deadline and number < 60):
            for way in (0, 1) if number % 2 else (1, 0):
                feed = (plain, marked)[way]
                found[way].append(self.piece(feed, number, marks=bool(way)))
            number += 1
        low, middle, high = self.per_step(found[0], "total", (0.25, 0.5, 0.75))
        step = StepTime(
            median_ms=middle,
            q1_ms=low,
            q3_ms=high,
            n=int(sum(piece["steps"] for piece in found[0])),
            clock="thread" if own_time(self.device) else "wall",
        )
        phases = {name: self.per_step(found[1], name, (0.5,))[0] for name in PHASES}
        return step, phases

    def per_step(
        self, pieces: list[Seconds], name: str, quantiles: tuple[float, ...]
    ) -> list[float]:
        """Return milliseconds per step of an epoch, from its first piece and a later one."""
        values = np.array([piece.get(name, 0.0) for piece in pieces])
        sizes = np.array([piece["steps"] for piece in pieces])
        first = np.arange(len(values)) % self.pieces == 0
        spent = np.quantile(values[first], quantiles)
        if not first.all():
            each = values[~first] / sizes[~first]
            left = self.batches.steps - sizes[0]
            spent = spent + np.quantile(each, quantiles) * left
        milliseconds: list[float] = (spent * 1e3 / self.batches.steps).tolist()
        return milliseconds
