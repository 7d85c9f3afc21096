"""The one loop: from scratch, fine-tuning and pretext tasks, resumable at any step."""

import contextlib
import copy
import logging
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from labmill.data.augment import Augmentation
from labmill.errors import LabmillError
from labmill.measure.operations import count
from labmill.randomness import seed_for
from labmill.study import Training
from labmill.training import choices
from labmill.training.feed import Batches, Normaliser, Source
from labmill.training.progress import Progress
from labmill.training.schedule import last_epoch, learning_rate
from labmill.training.state import AGAIN, Stop, Store
from labmill.training.step import Learner, autocast, prefixed
from labmill.training.tasks import TASKS, Task
from labmill.training.watch import Watch

log = logging.getLogger("labmill")

# State is saved at the end of an epoch when that many seconds have passed since the
# last time, and within an epoch after the second number.
SAVE_AFTER, SAVE_WITHIN = 60.0, 300.0
EVALUATION_BATCH = 256

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
        counted = count(model, shape)
        macs = counted.total.operations
        frozen = not all(p.requires_grad for p in model.parameters())
        trained = counted.under("head").operations if frozen else macs
        self.operations = (macs + 2 * trained) * task.per_image
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
        self.mode(self.model)
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
        self.mode(self.model)
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
        status = self.note(losses, correct, rate)
        shown.epoch(self.history[-1], status)
        over = status is not None or self.epoch == last_epoch(training)
        if not over and (
            self.stop.requested or time.monotonic() - self.saved > SAVE_AFTER
        ):
            self.save(within=False)
            self.leave_if_asked()
        return status

    def note(self, losses: np.ndarray, correct: np.ndarray, rate: float) -> str | None:
        """Close the epoch: history, snapshots, verdict."""
        images = len(self.batches.source)
        sizes = np.full(len(losses), self.training.batch_size)
        sizes[-1] = images - sizes[:-1].sum()
        loss = float((losses.astype(np.float64) * sizes).sum() / images)
        self.note_batches(losses, sizes)
        self.epoch, self.step = self.epoch + 1, 0
        self.losses, self.correct = [], []
        before = self.history[-1]["seconds"] if self.history else 0.0
        row = {
            "epoch": self.epoch,
            "train_loss": loss,
            "train_accuracy": float(correct.sum() / (images * self.task.per_image)),
            "validation_loss": None,
            "validation_accuracy": None,
            "learning_rate": rate,
            "seconds": self.seconds,
            "images_per_second": images / max(1e-9, self.seconds - before),
            "operations": self.operations * images * self.epoch,
            "peak_memory_mb": peak_memory(self.device),
        }
        self.history.append(row)
        if not (np.isfinite(loss) and finite(self.learner.result)):
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

    def note_batches(self, losses: np.ndarray, sizes: np.ndarray) -> None:
        """Rows of the loss every `log_batches` steps, counted over the whole run."""
        every = self.training.log_batches
        if every is None:
            return
        seen = sizes.cumsum() + self.epoch * sizes.sum()
        before = self.epoch * len(losses)
        for step in range(len(losses)):
            if (before + step + 1) % every == 0:
                self.batch_rows.append(
                    {
                        "epoch": self.epoch + 1,
                        "step": step + 1,
                        "images": int(seen[step]),
                        "loss": float(losses[step]),
                    }
                )

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

    def mode(self, model: nn.Module) -> None:
        """Training mode, except for modules all of whose parameters are frozen."""
        model.train()
        for module in model.modules():
            params = list(module.parameters())
            if params and not any(param.requires_grad for param in params):
                module.eval()

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


def predict(
    model: nn.Module,
    images: np.ndarray,
    indices: np.ndarray,
    *,
    mean: Sequence[float] | Tensor,
    std: Sequence[float] | Tensor,
    batch_size: int,
    channels_last: bool,
    precision: str,
    flip: bool = False,
) -> Tensor:
    """Outputs float32 (n, classes) on the CPU for images uint8 (N, C, H, W).

    On the model's device. `flip`: the mean over each image and its mirror.
    """
    device = next(model.parameters()).device
    if channels_last:
        model.to(memory_format=torch.channels_last)
    source = Source(images, np.zeros(len(images), np.int64), indices, device)
    parts = outputs_of(
        model,
        source,
        Normaliser(mean, std, device, channels_last=channels_last),
        precision,
        batch_size=batch_size,
        task=TASKS["classification"],
        flip=flip,
    )
    return torch.cat([outputs.cpu() for outputs, _ in parts])


def outputs_of(
    model: nn.Module,
    source: Source,
    normaliser: Normaliser,
    precision: str,
    *,
    batch_size: int,
    task: Task,
    flip: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Outputs float32 and targets, batch by batch, in evaluation mode."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        for images, labels, _ in source.pieces(np.arange(len(source)), batch_size):
            with torch.inference_mode(), autocast(precision, source.device):
                x, y = task.examples(normaliser(images), labels)
                outputs = model(x).float()
                if flip:
                    outputs = (outputs + model(x.flip(3)).float()) / 2
            yield outputs, y
    finally:
        for module, training in modes.items():
            module.training = training


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


def draws_random_numbers(model: nn.Module, shape: Sequence[int]) -> bool:
    """Whether a training step of the model draws from torch's generator (dropout)."""
    trial = copy.deepcopy(model).cpu().train()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        before = torch.get_rng_state()
        trial(torch.zeros(2, *shape))
        return not torch.equal(before, torch.get_rng_state())


def seed_generator(device: torch.device, seed: int) -> None:
    """Set torch's generator of the device."""
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def read(values: list[Tensor]) -> np.ndarray:
    """The one time that an epoch waits for the device."""
    return torch.stack(values).cpu().numpy()


def finite(model: nn.Module) -> bool:
    """Whether all weights are finite: their largest is, and NaN spreads to it."""
    largest = torch._foreach_norm(
        [p.detach() for p in model.parameters()], float("inf")
    )
    return bool(torch.stack([t.float() for t in largest]).isfinite().all())


def peak_memory(device: torch.device) -> float:
    """MB at most held so far: of the device, or of the process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def device_name(device: torch.device) -> str:
    """`cpu`, or the accelerator's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


@contextlib.contextmanager
def memory_errors(device: torch.device, training: Training) -> Iterator[None]:
    """Turn running out of memory into a sentence."""
    try:
        yield
    except (torch.OutOfMemoryError, RuntimeError) as error:
        told = str(error).splitlines()[0] if str(error) else ""
        if not isinstance(error, torch.OutOfMemoryError) and "allocate" not in told:
            raise
        smaller = max(1, training.batch_size // 2)
        raise LabmillError(
            f"out of memory on {device_name(device)}: {peak_memory(device):.0f} MB were "
            f"in use with training.batch_size {training.batch_size} ({told}). Try "
            f"batch_size {smaller}, or precision bf16"
        ) from error
