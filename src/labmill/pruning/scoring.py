"""Accuracy on validation images and gradients on training images, for pruning."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labmill.core.errors import LabmillError
from labmill.stats.randomness import numpy_generator
from labmill.training.data_loader import Normaliser, Source
from labmill.training.inputs import TrainingJob
from labmill.training.predict import EVALUATION_BATCH, outputs_of
from labmill.training.tasks import TASKS

# Training images that gradients are taken on.
SAMPLE = 512


class Validation:
    """The validation images, kept on the device for any number of networks."""

    def __init__(self, job: TrainingJob, device: torch.device) -> None:
        data = job.data
        if not len(data.validation):
            raise LabmillError(
                "pruning: the split has no validation images, which decide every step; "
                "set data.validation"
            )
        self.device = device
        self.source = Source(data.images, data.labels, data.validation, device)
        self.normaliser = Normaliser(
            job.normalisation, device, channels_last=job.channels_last
        )

    def accuracy_and_loss(self, network: nn.Module) -> tuple[float, float]:
        """Return accuracy and mean cross-entropy; move the network to the device."""
        network.to(self.device)
        task = TASKS["classification"]
        right: int | Tensor = 0
        loss: float | Tensor = 0.0
        for outputs, targets in outputs_of(
            network,
            self.source,
            self.normaliser,
            "fp32",
            batch_size=EVALUATION_BATCH,
            task=task,
        ):
            right = right + task.correct(outputs, targets)
            loss = loss + F.cross_entropy(outputs, targets, reduction="sum").double()
        return float(right) / len(self.source), float(loss) / len(self.source)

    def accuracy(self, network: nn.Module) -> float:
        """Return the share of validation images that are classified right."""
        return self.accuracy_and_loss(network)[0]


def gradients(
    network: nn.Module, job: TrainingJob, *, step: int, sample: int = SAMPLE
) -> None:
    """Leave ∂L/∂w of the mean loss on `sample` training images in `.grad`.

    The images are a function of (seed, step). In evaluation mode: batch norm with its
    running statistics, no dropout.
    """
    data = job.data
    device = next(network.parameters()).device
    order = numpy_generator(job.seed, "prune sample", step).permutation(len(data.train))
    source = Source(
        data.images, data.labels, data.train[order[:sample]], device, resident=True
    )
    normalise = Normaliser(job.normalisation, device, channels_last=False)
    network.eval()
    network.zero_grad(set_to_none=True)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    count = len(source)
    for images, labels, _ in source.pieces(
        np.arange(count), [*range(0, count, 64), count]
    ):
        loss = F.cross_entropy(network(normalise(images)), labels, reduction="sum")
        (loss / len(source)).backward()
