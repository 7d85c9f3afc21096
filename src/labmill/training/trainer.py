"""One run in progress: epochs of steps, resumable at any step."""

import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labmill.core.logs import log
from labmill.core.trees import Settings
from labmill.data.augment import Augmentation
from labmill.stats.randomness import seed_for
from labmill.training import precision
from labmill.training.checkpoint import share
from labmill.training.data_loader import Batches, Normaliser, Source
from labmill.training.device import (
    device_name,
    peak_memory,
    seed_generator,
    training_errors,
)
from labmill.training.early_stopping import EarlyStopping, last_epoch
from labmill.training.history import batch_rows, epoch_row, typical_seconds
from labmill.training.inputs import TrainingJob
from labmill.training.layer_rates import freeze_body
from labmill.training.network import (
    draws_random_numbers,
    finite,
    operations_of,
    training_mode,
)
from labmill.training.optimizers import learning_rate
from labmill.training.predict import EVALUATION_BATCH, outputs_of
from labmill.training.progress import Progress
from labmill.training.records import RunFacts, Status
from labmill.training.resume import AGAIN, Stop, Store
from labmill.training.run_state import Outcome, RunState
from labmill.training.step import StepFunction, TrainStep
from labmill.training.tasks import TASKS

# State is saved at the end of an epoch when that many seconds have passed since the
# last time, and within an epoch after the second number.
SAVE_AFTER, SAVE_WITHIN = 60.0, 300.0


class Trainer:
    """One run in progress."""

    def __init__(
        self,
        model: nn.Module,
        job: TrainingJob,
        *,
        device: torch.device,
        store: Store,
        stop: Stop,
    ) -> None:
        self.job, self.training, self.task = job, job.training, TASKS[job.task]
        self.device, self.store, self.stop = device, store, stop
        self.started = self.saved = time.monotonic()
        if self.training.layer_decay == 0:
            freeze_body(model)
        images, data = job.images(), job.data
        shape = data.images.shape[1:]
        macs, per_step = operations_of(model, shape)
        self.operations = per_step * self.task.per_image
        self.draws = draws_random_numbers(model, shape)
        model.to(device)
        if job.channels_last:
            model.to(memory_format=torch.channels_last)
        self.model = model
        augmentation = self.training.augmentation
        assert not isinstance(augmentation, str), "resolved when the study is loaded"
        self.precision = precision.precision(self.training, model, macs, device)
        self.step = TrainStep(model, self.task, self.training, self.precision)
        self.batches = Batches(
            Source(data.images, data.labels, images, device, resident=job.resident),
            self.task,
            Augmentation(
                augmentation.model_dump(),
                shape[-1],
                torch.as_tensor(job.normalisation[0]).flatten().tolist(),
            ),
            Normaliser(job.normalisation, device, channels_last=job.channels_last),
            batch_size=self.training.batch_size,
            seed=job.seed,
            classes=int(data.labels.max()) + 1,
        )
        self.validation = Source(
            data.images, data.labels, data.validation, device, resident=job.resident
        )
        self.compilation = precision.compilation(
            self.training,
            self.precision,
            macs * self.task.per_image * min(self.training.batch_size, len(images)),
            self.batches.steps * last_epoch(self.training),
            device,
        )
        self.early_stopping = EarlyStopping(self.training)
        first = self.snapshot()
        self.state = RunState(last=first, best=first)
        self.take: StepFunction = self.step.eager
        # How a paused run ended that has nothing left to train.
        self.ended: Status | None = None

    def run(self) -> Outcome:
        """Train to the end, from the saved state if there is one."""
        self.restore()
        epochs, steps = last_epoch(self.training), self.batches.steps
        done = self.state.epoch * steps + self.state.step
        progress = Progress(
            epochs, steps, done, self.state.history, on=self.job.progress
        )
        end = min(self.job.pause or epochs, epochs)
        status = self.ended
        if done < end * steps:
            self.choose_step()
        while status is None and self.state.epoch < end:
            status = self.one_epoch(progress)
        if self.job.pause:
            self.save(within=False, status=status)
            share(self.store.current, self.store.paused)
        return self.finish(status or ("completed" if end == epochs else "paused"))

    def choose_step(self) -> None:
        """Compile the step where that is chosen; it counts as wall time, not as training."""
        if self.compilation == "off":
            return
        training_mode(self.model)
        x, y = next(iter(self.batches.epoch(0)))
        began = time.monotonic()
        build = self.step.captured if x.is_cuda else self.step.compiled
        try:
            self.take = build(x, y)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            # The eager step can do what the compiler cannot.
            log.warning("compile: failed, steps run uncompiled: %s", error)
            self.compilation = "off"
            return
        log.info("step compiled in %.1f s", time.monotonic() - began)

    def one_epoch(self, progress: Progress) -> Status | None:
        """Train and validate one epoch; return the status if the run is over."""
        state = self.state
        training, epoch = self.training, state.epoch
        training_mode(self.model)
        began, paused = time.perf_counter(), 0.0
        for x, y in self.batches.epoch(epoch, state.step):
            if self.draws:
                seed_generator(
                    self.device, seed_for(self.job.seed, "dropout", epoch, state.step)
                )
            number = epoch * self.batches.steps + state.step
            rate = learning_rate(training, number, self.batches.steps)
            loss, correct = self.take(x, y, rate)
            ahead = training.lookahead
            if ahead and (number + 1) % ahead.every == 0:
                self.step.look_ahead(ahead.share)
            state.losses.append(loss)
            state.correct.append(correct)
            state.step += 1
            if self.stop.requested or time.monotonic() - self.saved > SAVE_WITHIN:
                at = time.perf_counter()
                state.seconds += at - began
                self.save(within=True)
                state.seconds -= at - began
                self.exit_if_requested()
                paused += time.perf_counter() - at
            progress.step(epoch, state.step, state.losses)
        losses, rights = read(state.losses), read(state.correct)
        state.seconds += time.perf_counter() - began - paused
        status = self.note(losses, rights)
        progress.epoch(state.history[-1], status)
        over = status is not None or state.epoch == last_epoch(training)
        if not over and (
            self.stop.requested or time.monotonic() - self.saved > SAVE_AFTER
        ):
            self.save(within=False)
            self.exit_if_requested()
        return status

    def note(self, losses: np.ndarray, correct: np.ndarray) -> Status | None:
        """Close the epoch: history, validation, snapshots, early stopping."""
        state = self.state
        sizes = np.diff(self.batches.bounds)
        state.batches += batch_rows(
            losses,
            correct,
            sizes,
            epoch=state.epoch,
            per_image=self.task.per_image,
            every=self.training.log_batches,
        )
        row = epoch_row(
            losses,
            correct,
            sizes,
            epoch=state.epoch + 1,
            per_image=self.task.per_image,
            rate=learning_rate(
                self.training, (state.epoch + 1) * len(sizes) - 1, len(sizes)
            ),
            seconds=state.seconds,
            before=state.history[-1].seconds if state.history else 0.0,
            operations=self.operations,
            memory=peak_memory(self.device),
        )
        state.epoch, state.step = state.epoch + 1, 0
        state.losses, state.correct = [], []
        sound = np.isfinite(row.train_loss) and finite(self.step.result)
        due = state.epoch % self.training.evaluate_every == 0
        due = due or state.epoch == last_epoch(self.training)
        if sound and due and len(self.validation):
            loss, accuracy = self.validate()
            row = row.model_copy(
                update={"validation_loss": loss, "validation_accuracy": accuracy}
            )
            sound = np.isfinite(loss)
        state.history.append(row)
        if not sound:
            return "diverged"
        status = self.early_stopping.verdict(row)
        state.last = self.snapshot()
        if self.early_stopping.improved:
            state.best = state.last
        return status

    def validate(self) -> tuple[float, float]:
        """Return mean cross-entropy and accuracy on validation images."""
        loss: float | Tensor = 0.0
        correct: float | Tensor = 0.0
        model = self.step.result
        for outputs, targets in outputs_of(
            model,
            self.validation,
            self.batches.normaliser,
            self.precision,
            batch_size=EVALUATION_BATCH,
            task=self.task,
        ):
            mean = self.task.loss(outputs, targets, F.cross_entropy)
            loss = loss + mean.double() * len(outputs)
            correct = correct + self.task.correct(outputs, targets)
        total = len(self.validation) * self.task.per_image
        return float(loss) / total, float(correct) / total

    def snapshot(self) -> dict[str, Tensor]:
        """Return a copy of the weights that the run would keep now."""
        state = self.step.result.state_dict()
        return {name: tensor.clone() for name, tensor in state.items()}

    def finish(self, status: Status) -> Outcome:
        """Put the resulting weights into the model, and save the result."""
        state = self.state
        weights = self.step.result.state_dict()
        if status == "diverged":
            weights = state.last
        elif self.training.early_stopping:
            weights = state.best
        self.model.load_state_dict(weights)
        facts = RunFacts(
            epochs=state.epoch,
            seconds=typical_seconds(state.history),
            wall_seconds=self.wall_seconds(),
            device=device_name(self.device),
            threads=torch.get_num_threads(),
            precision=self.precision,
            compile=self.compilation,
            resumed_at=state.resumed,
        )
        outcome = Outcome(
            status,
            state.history,
            state.batches,
            facts,
            self.store.weights,
            self.store.paused,
        )
        self.store.finish(self.model.state_dict(), outcome)
        log.info(
            "%s after %d epochs, %.1f s of training", status, state.epoch, state.seconds
        )
        return outcome

    def save(self, *, within: bool, status: Status | None = None) -> None:
        """Save the state, in or between epochs; `status` of one that has ended."""
        keeps_best = bool(self.training.early_stopping)
        self.store.save(
            self.step.tensors() | self.state.tensors(within=within, best=keeps_best),
            self.state.counters()
            | {
                "settings": self.settings(),
                "wall": self.wall_seconds(),
                "watch": self.early_stopping.counters,
                "ended": status,
            },
        )
        self.saved = time.monotonic()

    def wall_seconds(self) -> float:
        """Return the seconds since the run began, earlier jobs included."""
        return self.state.wall + time.monotonic() - self.started

    def exit_if_requested(self) -> None:
        if self.stop.requested:
            log.info(
                "state saved after epoch %d, step %d", self.state.epoch, self.state.step
            )
            raise SystemExit(AGAIN)

    def settings(self) -> Settings:
        """Return the settings that must match to resume."""
        return {
            "training": self.training.model_dump(mode="json"),
            "seed": self.job.seed,
            "images": len(self.batches.source),
        }

    def restore(self) -> None:
        """Resume from the saved state, if there is one of this run."""
        found = self.store.load()
        if found is None:
            return
        tensors, counters = found
        if counters["settings"] != self.settings():
            log.warning("the saved state is of other settings: starting over")
            return
        self.step.load(tensors)
        self.early_stopping.counters = counters["watch"]
        self.ended = counters.get("ended")
        self.state.last = self.snapshot()
        self.state.restore(tensors, counters, self.device)
        log.info("resuming after epoch %d, step %d", self.state.epoch, self.state.step)


def read(values: list[Tensor]) -> np.ndarray:
    """Copy numbers of all steps from the device; the one time that an epoch waits."""
    numbers: np.ndarray = torch.stack(values).cpu().numpy()
    return numbers


def fit(model: nn.Module, job: TrainingJob, paused: Path | None = None) -> Outcome:
    """Train `model` in place; `paused`: state of an earlier part of the run.

    An interrupted run is resumed from `job.state`, to the same bits as if never stopped;
    the weights of a finished run are read back. SIGTERM and SIGUSR1 end it at the next
    step with SystemExit(75), its state saved. Parameters that require no gradient stay,
    and their modules run in evaluation mode.
    """
    device = precision.prepare(job.device, job.threads)
    store = Store(job.state)
    with Stop() as stop, store.lease(stop):
        done = store.finished()
        if done is not None:
            weights, outcome = done
            model.load_state_dict(weights)
            log.info("already trained: result restored from %s", store.folder)
            return outcome
        if paused is not None:
            store.begin_from(paused)
        with training_errors(device, job.training):
            return Trainer(model, job, device=device, store=store, stop=stop).run()
