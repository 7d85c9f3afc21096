"""Training steps under a clock: the engine's own, cut where one phase ends."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.profiler import record_function

from labmill.measure.latency import now, own_time
from labmill.measure.trace import PHASE, PHASES
from labmill.training.loop import Fitting
from labmill.training.network import training_mode
from labmill.training.schedule import learning_rate
from labmill.training.state import Stop, Store
from labmill.training.step import Learner

WARM_UP_S = 0.3


class Clock:
    """Seconds per phase. `marks` off: none; `annotate`: also ranges for the profiler."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.marks, self.annotate = True, False
        self.spent: Counter[str] = Counter()
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


class Marked(Learner):
    """A learner that tells a clock where it is; what it computes is the engine's."""

    clock: Clock

    def forward(self, model: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        def marked(x: Tensor) -> Tensor:
            self.clock.begin("forward")
            outputs = model(x)
            self.clock.begin("loss")
            return outputs

        result = super().forward(marked, x, y)
        self.clock.begin("backward")
        return result

    def finish(self, *arguments: Any) -> None:
        self.clock.begin("optimizer")
        super().finish(*arguments)
        self.clock.begin("bookkeeping")


class Steps:
    """Warmed-up training steps of one network, in the pieces that the feed makes.

    `fitting` are the arguments of `labmill.training.loop.Fitting`, but for those that
    belong to a run: nothing is saved.
    """

    def __init__(self, **fitting: Any) -> None:
        self.fitting = Fitting(store=Store(Path()), stop=Stop(), **fitting)
        made = self.fitting.learner
        self.learner = Marked(made.model, made.task, made.training, made.precision)
        self.fitting.learner = self.learner
        self.clock = self.learner.clock = Clock(self.fitting.device)
        self.batches = self.fitting.batches
        self.pieces = -(-self.batches.steps // self.batches.per_piece)
        training_mode(self.fitting.model)
        self._warm_up()

    def _warm_up(self) -> None:
        deadline, number = time.perf_counter() + WARM_UP_S, 0
        feed = self.feed()
        while number < 3 or time.perf_counter() < deadline:
            self.one(feed)
            number += 1

    def feed(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches, epoch after epoch."""
        epoch = 0
        while True:
            yield from self.batches.epoch(epoch)
            epoch += 1

    def one(self, feed: Iterator[tuple[Tensor, Tensor]]) -> None:
        """One step: fetch a batch, learn from it."""
        self.clock.begin("data")
        x, y = next(feed)
        rate = learning_rate(self.learner.training, 0, self.batches.steps)
        self.learner.eager(x, y, rate)
        self.clock.begin(None)

    def piece(
        self, feed: Iterator[tuple[Tensor, Tensor]], number: int, *, marks: bool
    ) -> dict[str, float]:
        """Seconds that one piece of an epoch took: `total` and by phase, of its `steps`."""
        size = self.batches.per_piece
        size = min(size, self.batches.steps - (number % self.pieces) * size)
        self.clock.marks = marks
        self.clock.spent.clear()
        began = now(self.fitting.device)
        for _ in range(size):
            self.one(feed)
        self.clock.marks = True
        total = now(self.fitting.device) - began
        return {"steps": size, "total": total, **self.clock.spent}

    def timed(self, seconds: float) -> tuple[dict[str, Any], dict[str, float]]:
        """The step's time without marks, and of its phases; for about that long.

        Pieces without and with marks take turns. An epoch's first piece also draws its
        order and augmentation, so a step's mean is that of a whole epoch.

        Returns:
            `median_ms, q1_ms, q3_ms, n, clock`; and milliseconds per phase.
        """
        plain, marked = self.feed(), self.feed()
        found: tuple[list, list] = ([], [])
        deadline, number = now(self.fitting.device) + seconds, 0
        while number < 3 or (now(self.fitting.device) < deadline and number < 60):
            for way in (0, 1) if number % 2 else (1, 0):
                feed = (plain, marked)[way]
                found[way].append(self.piece(feed, number, marks=bool(way)))
            number += 1
        low, middle, high = self.per_step(found[0], "total", (0.25, 0.5, 0.75))
        step = {
            "median_ms": middle,
            "q1_ms": low,
            "q3_ms": high,
            "n": sum(piece["steps"] for piece in found[0]),
            "clock": "thread" if own_time(self.fitting.device) else "wall",
        }
        phases = {name: self.per_step(found[1], name, (0.5,))[0] for name in PHASES}
        return step, phases

    def per_step(
        self,
        pieces: list[Mapping[str, float]],
        name: str,
        quantiles: tuple[float, ...],
    ) -> list[float]:
        """Milliseconds per step of an epoch, from its first piece and a later one."""
        values = np.array([piece.get(name, 0.0) for piece in pieces])
        sizes = np.array([piece["steps"] for piece in pieces])
        first = np.arange(len(values)) % self.pieces == 0
        spent = np.quantile(values[first], quantiles)
        if not first.all():
            each = values[~first] / sizes[~first]
            left = self.batches.steps - sizes[0]
            spent = spent + np.quantile(each, quantiles) * left
        return (spent * 1e3 / self.batches.steps).tolist()
