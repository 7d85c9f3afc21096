"""What a person sees while a network trains: a bar, or a line now and then."""

import logging
import sys
import time
from typing import Any

import torch
from tqdm import tqdm

log = logging.getLogger("labmill")

# Seconds between two updates of the bar; between two lines in a file.
BAR, LINE = 0.5, 15.0


class Progress:
    """Shows loss, accuracy, images per second and the time that remains."""

    def __init__(self, epochs: int, steps: int, done: int, images: int, on: bool):
        self.epochs, self.steps, self.images = epochs, steps, images
        self.bar = None
        if on and sys.stderr.isatty():
            self.bar = tqdm(
                total=epochs * steps, initial=done, unit="step", leave=False
            )
        self.every = BAR if self.bar is not None else LINE
        self.on, self.figures = on, "…"
        self.began = self.shown = time.monotonic()
        self.first = done

    def step(self, epoch: int, step: int, losses: list[torch.Tensor]) -> None:
        """After each step; reads the loss only when something is shown."""
        now = time.monotonic()
        if not self.on or now - self.shown < self.every:
            return
        self.shown = now
        loss = torch.stack(losses[-20:]).mean().item()
        self._show(epoch * self.steps + step, f"loss {loss:.4f}, {self.figures}")

    def epoch(self, row: dict[str, Any], status: str | None) -> None:
        """After each epoch."""
        validation = row["validation_accuracy"]
        known = "" if validation is None else f", validation {validation:.1%}"
        self.figures = (
            f"accuracy {row['train_accuracy']:.1%}{known}, "
            f"{row['images_per_second']:.0f} images/s"
        )
        now = time.monotonic()
        ends = row["epoch"] in (1, self.epochs) or status is not None
        if self.on and (ends or now - self.shown >= self.every):
            self.shown = now
            text = f"loss {row['train_loss']:.4f}, {self.figures}"
            self._show(row["epoch"] * self.steps, text)

    def _show(self, done: int, text: str) -> None:
        if self.bar is not None:
            self.bar.set_description_str(f"epoch {done / self.steps:.1f}/{self.epochs}")
            self.bar.set_postfix_str(text, refresh=False)
            self.bar.update(done - self.bar.n)
            return
        passed = time.monotonic() - self.began
        rest = passed / max(1, done - self.first) * (self.epochs * self.steps - done)
        log.info(
            "epoch %.1f of %d: %s, %s left at most",
            done / self.steps,
            self.epochs,
            text,
            duration(rest),
        )

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()


def duration(seconds: float) -> str:
    """
    >>> duration(3725)
    '1 h 2 min'
    """
    minutes, hours = round(seconds / 60), int(seconds // 3600)
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes >= 2 else f"{seconds:.0f} s"
