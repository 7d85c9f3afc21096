"""Outputs of a network over many images, in evaluation mode."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from labmill.training.feed import Normaliser, Source
from labmill.training.step import autocast
from labmill.training.tasks import TASKS, Task

EVALUATION_BATCH = 256


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
