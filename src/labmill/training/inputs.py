"""The inputs of a training apart from the network: images, settings, seed, device."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from labmill.core.errors import LabmillError
from labmill.data.arrays import load_array, read_split
from labmill.data.augment import normaliser
from labmill.data.records import Card
from labmill.study.schema import Training

# Mean and standard deviation of each channel, for images scaled to 0..1.
Normalisation = tuple[Sequence[float] | Tensor, Sequence[float] | Tensor]


@dataclass
class TrainingImages:
    """Images, and the parts of a split that a run may use."""

    images: np.ndarray  # uint8 (N, C, H, W), memory-mapped
    labels: np.ndarray  # int64 (N,), -1 where a label is unknown or sealed
    train: np.ndarray  # int64 indices of the images to train on
    validation: np.ndarray  # int64 indices


@dataclass(frozen=True)
class DatasetFiles:
    """A dataset's images and card, and the study's split, which has no test images."""

    images: Path
    card: Path
    split: Path

    @classmethod
    def from_inputs(cls, files: Any) -> Self:
        """Take the paths from a rule's inputs, which have these names."""
        return cls(**{f.name: Path(getattr(files, f.name)) for f in fields(cls)})

    def training_images(self, part: str = "train", *, after: int = 0) -> TrainingImages:
        """Open the images; train on `part` without its first `after` images."""
        pool = load_array(self.images, Card.read(self.card))
        arrays = read_split(self.split, len(pool))
        used = arrays[part]
        if len(used) <= after:
            raise LabmillError(
                f"{self.split}: the part {part!r} has no images"
                + (f" after the first {after}; it has {len(used)}" if after else "")
            )
        return TrainingImages(
            pool, arrays["labels"], used[after:], arrays["validation"]
        )

    def normalisation(self, how: Any) -> tuple[Tensor, Tensor]:
        """Return mean and deviation, float32 (1, C, 1, 1), for images in 0..1."""
        return normaliser(Card.read(self.card), how)


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """One training, apart from its network.

    Attributes:
        device: None takes an accelerator if there is one.
        resident: whether images are kept on the device; None decides by free memory.
    """

    training: Training
    data: TrainingImages
    seed: int  # of all random numbers of the training
    normalisation: Normalisation
    channels_last: bool  # whether the network wants images as (height, width, channel)
    state: Path = Path()  # folder of the run's own in which an interrupted run is saved
    pause: int | None = None  # the epoch after which to stop, with the state kept
    device: str | torch.device | None = None
    threads: int | None = None  # of the CPU; None leaves the number unchanged
    task: str = "classification"  # a name in `labmill.training.tasks.TASKS`
    resident: bool | None = None
    progress: bool = True  # whether to report progress

    def images(self) -> np.ndarray:
        """Return the indices of the training images, cut to the label budget."""
        training, data = self.training, self.data
        if training.labels is not None and training.labels > len(data.train):
            raise LabmillError(
                f"training.labels: found {training.labels}; the split has "
                f"{len(data.train)} training images"
            )
        part = data.train[: training.labels]
        if not len(part):
            raise LabmillError("the split has no training images")
        for rule in ("converged", "early_stopping"):
            if getattr(training, rule) and not len(data.validation):
                raise LabmillError(
                    f"training.{rule}: the split has no validation images"
                )
        return part
