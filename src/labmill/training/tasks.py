"""Training tasks: classes of images, their rotation, or sequences."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from labmill.core import registry
from labmill.data.datasets.sequences import read_tokens
from labmill.study.schema import Training

# (logits (n, classes), labels (n,)) → mean.
Loss = Callable[[Tensor, Tensor], Tensor]


class Task(Protocol):
    """Turns images into examples, and outputs into a loss."""

    # Examples made of one image.
    per_image: int

    def examples(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Turn n images and labels into n * per_image inputs and targets, in order."""

    def loss(self, outputs: Tensor, targets: Tensor, loss: Loss) -> Tensor:
        """Return the mean loss over the batch, float32."""

    def correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return how many examples of the batch are right."""


@dataclass(frozen=True)
class Classification:
    """Logits (n, classes) against labels (n,), or shares of classes (n, classes)."""

    per_image = 1

    def examples(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return images, labels

    def loss(self, outputs: Tensor, targets: Tensor, loss: Loss) -> Tensor:
        return loss(outputs.float(), targets)

    def correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if targets.is_floating_point():
            targets = targets.argmax(1)
        return (outputs.argmax(1) == targets).sum()


@dataclass(frozen=True)
class Rotation(Classification):
    """Each image in all four rotations; the class is the number of quarter turns.

    Gidaris et al., 2018, arXiv:1803.07728. Labels of the images are not used.
    """

    per_image = 4

    def examples(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        turned = [torch.rot90(images, turns, (2, 3)) for turns in range(4)]
        targets = torch.arange(4, device=images.device).repeat(len(images))
        return torch.stack(turned, 1).flatten(0, 1), targets


@dataclass(frozen=True)
class Sequence:
    """Logits (n, T, vocabulary) of each target token, given those before it.

    A sequence is right if all its tokens are. Labels are not used: the image contains
    the target (`labmill.data.datasets.sequences`).
    """

    per_image = 1

    def examples(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return images, read_tokens(images)[1]

    def loss(self, outputs: Tensor, targets: Tensor, loss: Loss) -> Tensor:
        return loss(outputs.flatten(0, 1).float(), targets.flatten())

    def correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.argmax(2) == targets).all(1).sum()


def loss_of(training: Training) -> Loss:
    """Return the loss of a training, with its arguments."""
    function = registry.load_entry("losses", training.loss)
    more = {"label_smoothing": s} if (s := training.label_smoothing) else {}
    return partial(function, **training.loss_arguments, **more)


TASKS: dict[str, Task] = {
    "classification": Classification(),
    "rotation": Rotation(),
    "sequence": Sequence(),
}
