"""What pruning looks at: accuracy on validation images, gradients on training images."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labmill.errors import LabmillError
from labmill.randomness import numpy_generator
from labmill.training.feed import Normaliser, Source
from labmill.training.predict import EVALUATION_BATCH, outputs_of
from labmill.training.record import Normalisation
from labmill.training.tasks import TASKS
from labmill.training.train import Parts

# Training images that gradients are taken on.
SAMPLE = 512


class Validation:
    """The validation part, held on the device for any number of networks."""

    def __init__(
        self,
        data: Parts,
        normalisation: Normalisation,
        channels_last: bool,
        device: torch.device,
    ) -> None:
        if not len(data.validation):
            raise LabmillError(
                "pruning: the split has no validation images, which decide every step; "
                "set data.validation"
            )
        self.device = device
        self.source = Source(data.images, data.labels, data.validation, device)
        self.normaliser = Normaliser(
            *normalisation, device, channels_last=channels_last
        )

    def figures(self, network: nn.Module) -> tuple[float, float]:
        """Accuracy and mean cross-entropy; the network is moved to the device."""
        network.to(self.device)
        task, right, loss = TASKS["classification"], 0, 0.0
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
        """Share of the validation images that are classified right."""
        return self.figures(network)[0]


def gradients(
    network: nn.Module,
    data: Any,
    normalisation: Normalisation,
    *,
    seed: int,
    step: int,
    sample: int = SAMPLE,
) -> None:
    """Leave ∂L/∂w of the mean loss on a few training images in `.grad`.

    Which images is a function of (seed, step). In evaluation mode: batch norm as it
    will be used, no dropout.
    """
    device = next(network.parameters()).device
    order = numpy_generator(seed, "prune sample", step).permutation(len(data.train))
    source = Source(
        data.images, data.labels, data.train[order[:sample]], device, resident=True
    )
    normalise = Normaliser(*normalisation, device, channels_last=False)
    network.eval()
    network.zero_grad(set_to_none=True)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for images, labels, _ in source.pieces(np.arange(len(source)), 64):
        loss: Tensor = F.cross_entropy(
            network(normalise(images)), labels, reduction="sum"
        )
        (loss / len(source)).backward()
