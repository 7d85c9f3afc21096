"""What is measured: the networks of the five reports, with their batch sizes."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from labmill.training import checkpoint
from labmill.training.initialization import seeded
from labmill.training.inputs import TrainingImages
from labmill.training.network import channels_last


@dataclass(frozen=True)
class Case:
    """A network, and the images and batches it is trained with."""

    label: str
    model: str
    batch: int
    size: int
    channels: int
    # How many times faster than the naive loop labmill should be at least.
    aim: float
    arguments: dict[str, Any] = field(default_factory=dict)
    classes: int = 10

    def network(self) -> nn.Module:
        """The same weights every time."""
        return seeded(
            0,
            lambda: checkpoint.build(
                self.model,
                num_classes=self.classes,
                image_size=self.size,
                in_channels=self.channels,
                **self.arguments,
            ),
        )

    @property
    def channels_last(self) -> bool:
        return channels_last(self.model)

    def data(self, steps: int) -> TrainingImages:
        """Random images for that many steps, and no validation part."""
        generator = np.random.default_rng(0)
        count = steps * self.batch
        shape = (count, self.channels, self.size, self.size)
        return TrainingImages(
            images=generator.integers(0, 256, shape, dtype=np.uint8),
            labels=generator.integers(0, self.classes, count),
            train=np.arange(count),
            validation=np.arange(0),
        )

    def one_batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalised images and labels, in memory."""
        data = self.data(1)
        x = torch.from_numpy(data.images).float().div_(127.5).sub_(1)
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        return x, torch.from_numpy(data.labels)


def report_vit(depth: int, heads: int, dim: int) -> dict[str, Any]:
    """The transformer of the first report."""
    return {
        "patch": 4,
        "depth": depth,
        "heads": heads,
        "dim": dim,
        "projections": "headwise",
        "activation": "relu",
        "positions": "sinusoidal",
        "final_norm": False,
        "softmax_output": True,
    }


FMNIST = {"filters1": 8, "filters2": 8, "dense": 100}
CASES = (
    Case("ViT 6/8/8", "vit", 32, 32, 3, 15, report_vit(6, 8, 8), classes=5),
    Case("ViT 4/6/12", "vit", 32, 32, 3, 9, report_vit(4, 6, 12), classes=5),
    Case("FMNIST CNN 8-8-100", "two_conv", 8, 28, 1, 3.4, FMNIST),
    Case("FMNIST CNN 8-8-100", "two_conv", 32, 28, 1, 3.0, FMNIST),
    Case("LeNet-5", "lenet", 64, 28, 1, 3.0),
    Case("custom CNN", "cnn", 32, 32, 3, 2.4, {"design": "custom"}),
    Case("VGG16", "vgg", 32, 32, 3, 1.3),
    Case("ResNet-18", "resnet", 128, 32, 3, 2.4),
)
