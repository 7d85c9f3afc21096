"""Small runs for the tests of training, in this process or in one that dies."""

import math
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import torch

from labmill.core import registry
from labmill.study.schema import Training
from labmill.training import data_loader, trainer
from labmill.training.initialization import seeded
from labmill.training.inputs import TrainingImages, TrainingJob
from labmill.training.records import EpochRow
from labmill.training.run_state import Outcome
from labmill.training.trainer import fit

# Arguments that make each family small; one without an entry is tested at full size.
SMALL: dict[str, dict[str, Any]] = {
    "cnn": {"layers": ["conv 4 bn", "pool", "flatten", "dropout 0.3", "linear 8"]},
    "vgg": {"layers": ["conv 4 bn", "pool", "flatten", "linear 8", "dropout 0.5"]},
    # Of 4 channels, oneDNN's kernels for AVX2 in torch 2.15 corrupt memory (a crash in the
    # backward pass): docs/reliability.md.
    "resnet": {"widths": (8, 8, 16, 16), "blocks": (1, 1, 1, 1), "drop_path": 0.2},
    "lenet": {"layers": ["conv 4 k5 tanh", "avgpool", "flatten", "linear 8"]},
    "dynamic_cnn": {"widths": (4, 4, 8, 8, 8), "hidden": 8},
    "speednet": {"widths": (4, 4, 8, 8, 8, 8)},
    "two_conv": {"filters1": 4, "filters2": 4, "dense": 8},
    "vit": {"dim": 8, "depth": 1, "heads": 2, "dropout": 0.2, "patch": 8},
    "cct": {"dim": 8, "depth": 2, "heads": 2, "convolutions": 3, "drop_path": 0.2},
}
IMAGE_MODELS = [
    name
    for name in registry.names("models")
    if registry.constant("models", name, "KIND") != "sequence"
    and not registry.library(name)
]
CLASSES, SIZE, CHANNELS = 3, 32, 3
TIMES = {"seconds", "images_per_second", "peak_memory_mb"}

# Every part of the state at once: moments, averages, best weights, a short last batch.
RICH = {
    "epochs": 3,
    "batch_size": 8,
    "optimizer": "adamw",
    "learning_rate": 0.01,
    "weight_decay": 0.01,
    "schedule": {"kind": "one_cycle", "warmup_epochs": 1.0},
    "label_smoothing": 0.1,
    "gradient_clip": 1.0,
    "ema": 0.8,
    "early_stopping": {"patience": 9},
    "log_batches": 2,
    "augmentation": {
        "crop": 2,
        "flip": True,
        "brightness": 0.2,
        "contrast": 0.2,
        "rotate90": True,
        "cutout": 4,
        **dict.fromkeys(registry.names("augmentations"), True),
    },
    "compile": "off",
    "precision": "fp32",
}
STEPS = 12  # of RICH on the data below


def images_of(
    train: int = 26, validation: int = 10, size: int = SIZE, channels: int = CHANNELS
) -> TrainingImages:
    """Images whose brightness tells their class, and the parts of a split."""
    generator = np.random.default_rng(0)
    total = train + validation
    labels = np.arange(total) % CLASSES
    noise = generator.integers(0, 160, (total, channels, size, size))
    images = (noise + 40 * labels[:, None, None, None]).astype(np.uint8)
    order = generator.permutation(total)
    return TrainingImages(
        images=images,
        labels=labels.astype(np.int64),
        train=order[:train],
        validation=order[train:],
    )


def network(
    name: str = "cnn", size: int = SIZE, channels: int = CHANNELS, **more: Any
) -> Any:
    """A small network of a family, the same one every time."""
    return seeded(
        0,
        lambda: registry.build(
            name,
            num_classes=CLASSES,
            image_size=size,
            in_channels=channels,
            **SMALL.get(name, {}) | more,
        ),
    )


def fitted(state: Path, settings: dict[str, Any], **more: Any) -> Outcome:
    """Fit the small `name` on the small images; `model` and `data` may be given."""
    name = more.pop("name", "cnn")
    model = more.pop("model", None) or network(name)
    data = more.pop("data", None) or images_of()
    values = {
        "training": Training(**settings),
        "data": data,
        "seed": 5,
        "normalisation": ([0.5], [0.5]),
        "state": state,
        "channels_last": registry.constant("models", name, "CHANNELS_LAST", False),
        "progress": False,
        "threads": 1,
    }
    return fit(model, TrainingJob(**values | more))


def bare(history: list[Any]) -> list[dict[str, Any]]:
    """History without what a clock or a process decides."""
    rows = [r.model_dump() if isinstance(r, EpochRow) else r for r in history]
    return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


def doomed(
    state: str,
    settings: dict[str, Any],
    name: str,
    at: int | None,
    number: int,
    often: tuple[float, float],
) -> None:
    """Fit, and send this process signal `number` before step `at` of the whole run."""
    trainer.SAVE_AFTER, trainer.SAVE_WITHIN = often
    # Two batches at a time, so that runs also stop between and within later pieces.
    data_loader.PIECE_BYTES["cpu"] = 2 * 8 * CHANNELS * SIZE**2 * 4
    rate = trainer.learning_rate

    def rate_or_death(training: Training, step: int, steps: int) -> float:
        if step == at:
            os.kill(os.getpid(), number)
        return rate(training, step, steps)

    trainer.learning_rate = rate_or_death
    fitted(Path(state), settings, name=name)


CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["labmill.training.trainer", "helpers.training_runs"])
NEVER = (math.inf, math.inf)


def child(
    state: Path,
    settings: dict[str, Any],
    *,
    name: str = "cnn",
    at: int | None = None,
    number: int = signal.SIGKILL,
    often: tuple[float, float] = NEVER,
) -> int | None:
    """The exit code of a process of its own that fits; see `doomed`."""
    process = CONTEXT.Process(
        target=doomed, args=(str(state), settings, name, at, number, often)
    )
    process.start()
    process.join(500)
    return process.exitcode


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two state dicts hold the same bits."""
    return one.keys() == other.keys() and all(
        torch.equal(one[name], other[name]) for name in one
    )
