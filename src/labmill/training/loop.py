"""The one loop: epochs of steps, resumable at any step."""

import logging
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from labmill.data.augment import Augmentation
from labmill.randomness import seed_for
from labmill.study import Training
from labmill.training import choices
from labmill.training.device import device_name, peak_memory, seed_generator
from labmill.training.feed import Batches, Normaliser, Source
from labmill.training.history import batch_rows, batch_sizes, epoch_row
from labmill.training.network import (
    draws_random_numbers,
    finite,
    operations_of,
    training_mode,
)
from labmill.training.predict import EVALUATION_BATCH, outputs_of
from labmill.training.progress import Progress
from labmill.training.record import Data, Normalisation, Outcome, Record, chosen
from labmill.training.schedule import last_epoch, learning_rate
from labmill.training.state import AGAIN, Stop, Store
from labmill.training.step import Learner
from labmill.training.tasks import Task
from labmill.training.watch import Watch

log = logging.getLogger("labmill")

# State is saved at the end of an epoch when that many seconds have passed since the
# last time, and within an epoch after the second number.
SAVE_AFTER, SAVE_WITHIN = 60.0, 300.0


class Fitting:
    """One run in progress."""

    def __init__(
        self,
        model: nn.Module,
        training: Training,
        data: Data,
        *,
        seed: int,
        normalisation: Normalisation,
        store: Store,
        stop: Stop,
        channels_last: bool,
        device: torch.device,
        task: Task,
        resident: bool | None,
    ) -> None:
        self.training, self.seed, self.task = training, seed, task
        self.store, self.stop, self.device = store, stop, device
        self.started = self.saved = time.monotonic()
        part = chosen(data, training)
        shape = data.images.shape[1:]
        macs, spent = operations_of(model, shape)
        self.operations = spent * task.per_image
        self.draws = draws_random_numbers(model, shape)
        model.to(device)
        if channels_last:
            model.to(memory_format=torch.channels_last)
        self.model = model
        self.precision = choices.precision(training, model, macs, device)
        self.learner = Learner(model, task, training, self.precision)
        mean, std = normalisation
        normaliser = Normaliser(mean, std, device, channels_last=channels_last)
        self.batches = Batches(
            Source(data.images, data.labels, part, device, resident=resident),
            task,
            Augmentation(
                training.augmentation.model_dump(),
                shape[-1],
                torch.as_tensor(mean).flatten().tolist(),
            ),
            normaliser,
            batch_size=training.batch_size,
            seed=seed,
        )
        self.validation = Source(
            data.images, data.labels, data.validation, device, resident=resident
        )
        self.compilation = choices.compilation(
            training,
            self.precision,
            macs * task.per_image * min(training.batch_size, len(part)),
            self.batches.steps * last_epoch(training),
            device,
        )
        self.watch = Watch(training)
        first = self.snapshot()
        self.record = Record(last=first, best=first)

    def run(self, progress: bool) -> Outcome:
        """Train to the end, from wherever the state says."""
        self.restore()
        epochs, steps = last_epoch(self.training), self.batches.steps
        done = self.record.epoch * steps + self.record.step
        shown = Progress(epochs, steps, done, len(self.batches.source), progress)
        status = None
        if done < epochs * steps:
            self.make_step()
        try:
            while status is None and self.record.epoch < epochs:
                status = self.one_epoch(shown)
        finally:
            shown.close()
        return self.finish(status or "completed")

    def make_step(self) -> None:
        """Choose how steps run; compiling counts as wall time, not as training."""
        self.take = self.learner.eager
        if self.compilation == "off":
            return
        training_mode(self.model)
        x, y = next(iter(self.batches.epoch(0)))
        began = time.monotonic()
        build = self.learner.captured if x.is_cuda else self.learner.compiled
        try:
            self.take = build(x, y)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            # Whatever the compiler cannot do, the eager step can.
            log.warning("compile: failed, steps run uncompiled: %s", error)
            self.compilation = "off"
            return
        log.info("step compiled in %.1f s", time.monotonic() - began)

    def one_epoch(self, shown: Progress) -> str | None:
        """Train one epoch, validate, note it; the status if the run is over."""
        made = self.record
        training, epoch = self.training, made.epoch
        training_mode(self.model)
        began, paused = time.perf_counter(), 0.0
        for x, y in self.batches.epoch(epoch, made.step):
            if self.draws:
                seed_generator(
                    self.device, seed_for(self.seed, "dropout", epoch, made.step)
                )
            number = epoch * self.batches.steps + made.step
            rate = learning_rate(training, number, self.batches.steps)
            loss, correct = self.take(x, y, rate)
            made.losses.append(loss)
            made.correct.append(correct)
            made.step += 1
            if self.stop.requested or time.monotonic() - self.saved > SAVE_WITHIN:
                at = time.perf_counter()
                made.seconds += at - began
                self.save(within=True)
                made.seconds -= at - began
                self.leave_if_asked()
                paused += time.perf_counter() - at
            shown.step(epoch, made.step, made.losses)
        losses = read(made.losses)
        correct = read(made.correct)
        made.seconds += time.perf_counter() - began - paused
        status = self.note(losses, correct)
        shown.epoch(made.history[-1], status)
        over = status is not None or made.epoch == last_epoch(training)
        if not over and (
            self.stop.requested or time.monotonic() - self.saved > SAVE_AFTER
        ):
            self.save(within=False)
            self.leave_if_asked()
        return status

    def note(self, losses: np.ndarray, correct: np.ndarray) -> str | None:
        """Close the epoch: history, snapshots, verdict."""
        made = self.record
        sizes = batch_sizes(len(self.batches.source), self.training.batch_size)
        made.batches += batch_rows(
            losses,
            correct,
            sizes,
            epoch=made.epoch,
            per_image=self.task.per_image,
            every=self.training.log_batches,
        )
        row = epoch_row(
            losses,
            correct,
            sizes,
            epoch=made.epoch + 1,
            per_image=self.task.per_image,
            rate=learning_rate(
                self.training, (made.epoch + 1) * len(sizes) - 1, len(sizes)
            ),
            seconds=made.seconds,
            before=made.history[-1]["seconds"] if made.history else 0.0,
            operations=self.operations,
            memory=peak_memory(self.device),
        )
        made.epoch, made.step = made.epoch + 1, 0
        made.losses, made.correct = [], []
        made.history.append(row)
        if not (np.isfinite(row["train_loss"]) and finite(self.learner.result)):
            return "diverged"
        due = made.epoch % self.training.evaluate_every == 0
        if len(self.validation) and (due or made.epoch == last_epoch(self.training)):
            row["validation_loss"], row["validation_accuracy"] = self.validate()
            if not np.isfinite(row["validation_loss"]):
                return "diverged"
        status = self.watch.verdict(row)
        made.last = self.snapshot()
        if self.watch.gained:
            made.best = made.last
        return status

    def validate(self) -> tuple[float, float]:
        """Mean loss, without label smoothing, and accuracy on the validation part."""
        loss = correct = 0.0
        model = self.learner.result
        for outputs, targets in outputs_of(
            model,
            self.validation,
            self.batches.normaliser,
            self.precision,
            batch_size=EVALUATION_BATCH,
            task=self.task,
        ):
            loss = loss + self.task.loss(outputs, targets, 0.0).double() * len(outputs)
            correct = correct + self.task.correct(outputs, targets)
        total = len(self.validation) * self.task.per_image
        return float(loss) / total, float(correct) / total

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of the weights that would be kept now."""
        state = self.learner.result.state_dict()
        return {name: tensor.clone() for name, tensor in state.items()}

    def finish(self, status: str) -> Outcome:
        """Put the resulting weights into the model, and on record."""
        made = self.record
        kept = made.last if status == "diverged" else self.learner.result.state_dict()
        if self.training.early_stopping and status != "diverged":
            kept = made.best
        self.model.load_state_dict(kept)
        facts = {
            "epochs": made.epoch,
            "seconds": made.seconds,
            "wall_seconds": self.wall_seconds(),
            "device": device_name(self.device),
            "threads": torch.get_num_threads(),
            "precision": self.precision,
            "compile": self.compilation,
            "resumed_at": made.resumed,
        }
        record = {
            "status": status,
            "history": made.history,
            "batches": made.batches,
            "facts": facts,
        }
        self.store.finish(self.model.state_dict(), record)
        log.info(
            "%s after %d epochs, %.1f s of training",
            status,
            made.epoch,
            made.seconds,
        )
        return Outcome(**record, weights=self.store.weights)

    def save(self, *, within: bool) -> None:
        """Save the state, in or between epochs."""
        keeps_best = bool(self.training.early_stopping)
        self.store.save(
            self.learner.tensors()
            | self.record.tensors(within=within, best=keeps_best),
            self.record.counters()
            | {
                "settings": self.settings(),
                "wall": self.wall_seconds(),
                "watch": self.watch.counters,
            },
        )
        self.saved = time.monotonic()

    def wall_seconds(self) -> float:
        """Since the run began, with the earlier jobs that worked on it."""
        return self.record.wall + time.monotonic() - self.started

    def leave_if_asked(self) -> None:
        if self.stop.requested:
            log.info(
                "state saved after epoch %d, step %d",
                self.record.epoch,
                self.record.step,
            )
            raise SystemExit(AGAIN)

    def settings(self) -> dict[str, Any]:
        """What a state must agree with to be gone on from."""
        return {
            "training": self.training.model_dump(mode="json"),
            "seed": self.seed,
            "images": len(self.batches.source),
        }

    def restore(self) -> None:
        """Go on from the state, if there is one of this run."""
        found = self.store.load()
        if found is None:
            return
        tensors, counters = found
        if counters["settings"] != self.settings():
            log.warning("the saved state is of other settings: starting over")
            return
        for name, tensor in self.learner.tensors().items():
            tensor.copy_(tensors[name])
        self.watch.counters = counters["watch"]
        self.record.last = self.snapshot()
        self.record.restore(tensors, counters, self.device)
        log.info(
            "going on after epoch %d, step %d", self.record.epoch, self.record.step
        )


def read(values: list[Tensor]) -> np.ndarray:
    """The one time that an epoch waits for the device."""
    return torch.stack(values).cpu().numpy()
