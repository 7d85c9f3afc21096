"""Progress of a training: lines in the log, and values for whoever watches the job."""

import time

import torch

from labmill.core.logs import log
from labmill.core.progress import EVERY, duration, publish, thinned
from labmill.training.records import EpochRow

# Seconds between two lines.
LINE = 15.0


class Progress:
    """Reports loss, accuracy, images per second and the time that remains."""

    def __init__(
        self, epochs: int, steps: int, done: int, history: list[EpochRow], *, on: bool
    ) -> None:
        self.epochs, self.steps, self.first, self.on = epochs, steps, done, on
        self.history = history
        self.began = self.logged = time.monotonic()
        self.published = -EVERY
        if on:
            publish(epoch=done / steps, epochs=epochs)

    def step(self, epoch: int, step: int, losses: list[torch.Tensor]) -> None:
        """Report after a step; the loss is read only when it is reported."""
        now = time.monotonic()
        due = now - self.logged >= LINE
        if not self.on or not (due or now - self.published >= EVERY):
            return
        loss = torch.stack(losses[-20:]).mean().item()
        done = epoch * self.steps + step
        self.publish(now, done, loss)
        if due:
            self.log(now, done, loss)

    def epoch(self, row: EpochRow, status: str | None) -> None:
        """Report after an epoch; the first and the last one always get a line."""
        if not self.on:
            return
        now, done = time.monotonic(), row.epoch * self.steps
        ends = row.epoch in (1, self.epochs) or status is not None
        if ends or now - self.published >= EVERY:
            self.publish(now, done, row.train_loss)
        if ends or now - self.logged >= LINE:
            self.log(now, done, row.train_loss)

    @property
    def last(self) -> EpochRow | None:
        """The last finished epoch."""
        return self.history[-1] if self.history else None

    def publish(self, now: float, done: int, loss: float) -> None:
        """Publish the values for the view of all jobs."""
        self.published = now
        last = self.last
        curve = thinned(
            (row.epoch, row.train_loss, row.validation_accuracy) for row in self.history
        )
        publish(
            epoch=done / self.steps,
            epochs=self.epochs,
            done=done / (self.epochs * self.steps),
            loss=loss,
            train_accuracy=last and last.train_accuracy,
            images_per_second=last and last.images_per_second,
            seconds_left=self.seconds_left(now, done),
            curve=curve,
            # Of a pruned network, its accuracy before fine-tuning is published already.
            **({"validation_accuracy": curve[-1][2]} if curve else {}),
        )

    def log(self, now: float, done: int, loss: float) -> None:
        """Write one line: epoch, loss, accuracies, speed, time left."""
        self.logged = now
        parts = [f"loss {loss:.4f}"]
        if self.last is not None:
            parts.append(f"accuracy {self.last.train_accuracy:.1%}")
            if self.last.validation_accuracy is not None:
                parts.append(f"validation {self.last.validation_accuracy:.1%}")
            parts.append(f"{self.last.images_per_second:.0f} images/s")
        log.info(
            "epoch %.1f of %d: %s, %s left at most",
            done / self.steps,
            self.epochs,
            ", ".join(parts),
            duration(self.seconds_left(now, done)),
        )

    def seconds_left(self, now: float, done: int) -> float:
        """Return the seconds until all epochs are done, at the speed so far."""
        passed = now - self.began
        return passed / max(1, done - self.first) * (self.epochs * self.steps - done)
