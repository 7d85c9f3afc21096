"""The one loop: from scratch, fine-tuning and pretext tasks, resumable at any step."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from labmill.data.augment import Augmentation
from labmill.errors import LabmillError
from labmill.randomness import seed_for
from labmill.study import Training
from labmill.training import choices
from labmill.training.device import (
    device_name,
    memory_errors,
    peak_memory,
    seed_generator,
)
from labmill.training.feed import Batches, Normaliser, Source
from labmill.training.history import batch_rows, batch_sizes, epoch_row
from labmill.training.network import (
    draws_random_numbers,
    finite,
    operations_of,
    training_mode,
)
from labmill.training.predict import EVALUATION_BATCH, outputs_of, predict
from labmill.training.progress import Progress
from labmill.training.schedule import last_epoch, learning_rate
from labmill.training.state import AGAIN, Stop, Store
from labmill.training.step import Learner, prefixed
from labmill.training.tasks import TASKS, Task
from labmill.training.watch import Watch

__all__ = [
    "EVALUATION_BATCH",
    "Fitting",
    "Outcome",
    "device_name",
    "fit",
    "outputs_of",
    "predict",
]

log = logging.getLogger("labmill")

# State is saved at the end of an epoch when that many seconds have passed since the
# last time, and within an epoch after the second number.
SAVE_AFTER, SAVE_WITHIN = 60.0, 300.0

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


def fit(
    model: nn.Module,
    training: Training,
    data: Data,
    *,
    seed: int,
    normalisation: Normalisation,
    state: Path,
    channels_last: bool,
    device: str | torch.device | None = None,
    axis: str = "train",
    progress: bool = True,
    task: str = "classification",
    threads: int | None = None,
    resident: bool | None = None,
) -> Outcome:
    """Train `model` in place on `data.train`, watching `data.validation`.

    Goes on from what the folder `state` holds, to the same bits as if never stopped.
    Where the run had ended, its weights are read back. SIGTERM and SIGUSR1 end it at
    the next step with SystemExit(75), its state saved. Parameters that require no
    gradient stay, and their modules run in evaluation mode. `axis` separates the
    randomness of stages with one seed; `resident` overrides whether the images are
    held on the device. Raises LabmillError for settings that do not fit the data, and
    when the device has too little memory.
    """
    device = choices.prepare(device, threads)
    store = Store(Path(state))
    with Stop() as stop, store.lease(stop):
        done = store.finished()
        if done is not None:
            model.load_state_dict(done[0])
            log.info("already trained: result restored from %s", store.folder)
            return Outcome(**done[1], weights=store.weights)
        with memory_errors(device, training):
            fitting = Fitting(
                model,
                training,
                data,
                seed=seed if axis == "train" else seed_for(seed, axis),
                normalisation=normalisation,
                store=store,
                stop=stop,
                channels_last=channels_last,
                device=device,
                task=TASKS[task],
                resident=resident,
            )
            return fitting.run(progress)


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
        self.epoch = self.step = 0
        self.losses: list[Tensor] = []
        self.correct: list[Tensor] = []
        self.history: list[dict[str, Any]] = []
        self.batch_rows: list[dict[str, Any]] = []
        self.resumed: list[list[int]] = []
        self.seconds = self.wall = 0.0
        self.last = self.best = self.snapshot()

    def run(self, progress: bool) -> Outcome:
        """Train to the end, from wherever the state says."""
        self.restore()
        epochs, steps = last_epoch(self.training), self.batches.steps
        done = self.epoch * steps + self.step
        shown = Progress(epochs, steps, done, len(self.batches.source), progress)
        status = None
        if done < epochs * steps:
            self.make_step()
        try:
            while status is None and self.epoch < epochs:
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
        training, epoch = self.training, self.epoch
        training_mode(self.model)
        began, paused = time.perf_counter(), 0.0
        for x, y in self.batches.epoch(epoch, self.step):
            if self.draws:
                seed_generator(
                    self.device, seed_for(self.seed, "dropout", epoch, self.step)
                )
            number = epoch * self.batches.steps + self.step
            rate = learning_rate(training, number, self.batches.steps)
            loss, correct = self.take(x, y, rate)
            self.losses.append(loss)
            self.correct.append(correct)
            self.step += 1
            if self.stop.requested or time.monotonic() - self.saved > SAVE_WITHIN:
                at = time.perf_counter()
                self.seconds += at - began
                self.save(within=True)
                self.seconds -= at - began
                self.leave_if_asked()
                paused += time.perf_counter() - at
            shown.step(epoch, self.step, self.losses)
        losses = read(self.losses)
        correct = read(self.correct)
        self.seconds += time.perf_counter() - began - paused
        status = self.note(losses, correct)
        shown.epoch(self.history[-1], status)
        over = status is not None or self.epoch == last_epoch(training)
        if not over and (
            self.stop.requested or time.monotonic() - self.saved > SAVE_AFTER
        ):
            self.save(within=False)
            self.leave_if_asked()
        return status

    def note(self, losses: np.ndarray, correct: np.ndarray) -> str | None:
        """Close the epoch: history, snapshots, verdict."""
        sizes = batch_sizes(len(self.batches.source), self.training.batch_size)
        self.batch_rows += batch_rows(
            losses,
            correct,
            sizes,
            epoch=self.epoch,
            per_image=self.task.per_image,
            every=self.training.log_batches,
        )
        row = epoch_row(
            losses,
            correct,
            sizes,
            epoch=self.epoch + 1,
            per_image=self.task.per_image,
            rate=learning_rate(
                self.training, (self.epoch + 1) * len(sizes) - 1, len(sizes)
            ),
            seconds=self.seconds,
            before=self.history[-1]["seconds"] if self.history else 0.0,
            operations=self.operations,
            memory=peak_memory(self.device),
        )
        self.epoch, self.step = self.epoch + 1, 0
        self.losses, self.correct = [], []
        self.history.append(row)
        if not (np.isfinite(row["train_loss"]) and finite(self.learner.result)):
            return "diverged"
        due = self.epoch % self.training.evaluate_every == 0
        if len(self.validation) and (due or self.epoch == last_epoch(self.training)):
            row["validation_loss"], row["validation_accuracy"] = self.validate()
            if not np.isfinite(row["validation_loss"]):
                return "diverged"
        status = self.watch.verdict(row)
        self.last = self.snapshot()
        if self.watch.gained:
            self.best = self.last
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
        kept = self.last if status == "diverged" else self.learner.result.state_dict()
        if self.training.early_stopping and status != "diverged":
            kept = self.best
        self.model.load_state_dict(kept)
        facts = {
            "epochs": self.epoch,
            "seconds": self.seconds,
            "wall_seconds": self.wall + time.monotonic() - self.started,
            "device": device_name(self.device),
            "threads": torch.get_num_threads(),
            "precision": self.precision,
            "compile": self.compilation,
            "resumed_at": self.resumed,
        }
        record = {
            "status": status,
            "history": self.history,
            "batches": self.batch_rows,
            "facts": facts,
        }
        self.store.finish(self.model.state_dict(), record)
        log.info(
            "%s after %d epochs, %.1f s of training", status, self.epoch, self.seconds
        )
        return Outcome(**record, weights=self.store.weights)

    def tensors(self, within: bool) -> dict[str, Tensor]:
        """All tensors of the state; `last` equals the weights between two epochs."""
        found = self.learner.tensors()
        if within:
            found |= prefixed("last", self.last)
            found |= {"losses": torch.stack(self.losses)}
            found |= {"correct": torch.stack(self.correct)}
        if self.training.early_stopping:
            found |= prefixed("best", self.best)
        return found

    def save(self, *, within: bool) -> None:
        """Save the state, in or between epochs."""
        self.store.save(
            self.tensors(within),
            {
                "settings": self.settings(),
                "epoch": self.epoch,
                "step": self.step,
                "seconds": self.seconds,
                "wall": self.wall + time.monotonic() - self.started,
                "history": self.history,
                "batches": self.batch_rows,
                "watch": self.watch.counters,
                "resumed": self.resumed,
            },
        )
        self.saved = time.monotonic()

    def leave_if_asked(self) -> None:
        if self.stop.requested:
            log.info("state saved after epoch %d, step %d", self.epoch, self.step)
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
        self.epoch, self.step = counters["epoch"], counters["step"]
        self.seconds, self.wall = counters["seconds"], counters["wall"]
        self.history, self.batch_rows = counters["history"], counters["batches"]
        self.watch.counters = counters["watch"]
        self.resumed = [*counters["resumed"], [self.epoch, self.step]]
        self.last = self.snapshot()
        for name in ("last", "best"):
            part = {
                key.removeprefix(f"{name}."): tensor.to(self.device)
                for key, tensor in tensors.items()
                if key.startswith(f"{name}.")
            }
            if part:
                setattr(self, name, part)
        if self.step:
            self.losses = list(tensors["losses"].to(self.device))
            self.correct = list(tensors["correct"].to(self.device))
        log.info("going on after epoch %d, step %d", self.epoch, self.step)


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


def read(values: list[Tensor]) -> np.ndarray:
    """The one time that an epoch waits for the device."""
    return torch.stack(values).cpu().numpy()
