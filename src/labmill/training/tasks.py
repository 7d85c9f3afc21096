"""What a network learns: classes of images, how they were rotated, or sequences."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from labmill.data.sequences import read_tokens


class Task(Protocol):
    """Turns images into examples, and outputs into a loss."""

    # Examples made of one image.
    per_image: int

    def examples(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """n images and labels to n * per_image inputs and targets, in order."""

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        """The mean loss over the batch, float32."""

    def correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """How many examples of the batch are right."""


@dataclass(frozen=True)
class Classification:
    """Logits (n, classes) against labels (n,)."""

    per_image = 1

    def examples(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return images, labels

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        return F.cross_entropy(outputs.float(), targets, label_smoothing=smoothing)

    def correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.argmax(1) == targets).sum()


@dataclass(frozen=True)
class Rotation(Classification):
    """Each image in all four rotations; the class is the number of quarter turns.

    Gidaris et al., 2018, arXiv:1803.07728. Labels of the images are not looked at.
    """

    per_image = 4

    def examples(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        turned = [torch.rot90(images, turns, (2, 3)) for turns in range(4)]
        targets = torch.arange(4, device=images.device).repeat(len(images))
        return torch.stack(turned, 1).flatten(0, 1), targets


@dataclass(frozen=True)
class Sequence:
    """Logits (n, T, vocabulary) of each target token, given those before it.

    Right is a sequence all of whose tokens are. Labels are not looked at: the target
    stands in the image (`labmill.data.sequences`).
    """

    per_image = 1

    def examples(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return images, read_tokens(images)[1]

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        logits = outputs.flatten(0, 1).float()
        return F.cross_entropy(logits, targets.flatten(), label_smoothing=smoothing)

    def correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.argmax(2) == targets).all(1).sum()


TASKS: dict[str, Task] = {
    "classification": Classification(),
    "rotation": Rotation(),
    "sequence": Sequence(),
}
