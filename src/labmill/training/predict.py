"""Outputs of a network over many images, in evaluation mode."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labmill.training.data_loader import Normaliser, Source
from labmill.training.inputs import Normalisation
from labmill.training.step import autocast
from labmill.training.tasks import TASKS, Task

EVALUATION_BATCH = 256


def predict(
    model: nn.Module,
    images: np.ndarray,
    indices: np.ndarray,
    *,
    normalisation: Normalisation,
    batch_size: int,
    channels_last: bool,
    precision: str,
    flip: bool = False,
    shift: int = 0,
) -> Tensor:
    """Return outputs float32 (n, classes) for images uint8 (N, C, H, W).

    Computed on the model's device, returned on the CPU. `flip`: average over each image
    and its mirror image. `shift`: give half of the weight to the image moved by so many
    pixels to the top left and to the bottom right (Jordan, 2024, arXiv:2404.00498).
    """
    device = next(model.parameters()).device
    if channels_last:
        model.to(memory_format=torch.channels_last)
    source = Source(images, np.zeros(len(images), np.int64), indices, device)
    parts = outputs_of(
        model,
        source,
        Normaliser(normalisation, device, channels_last=channels_last),
        precision,
        batch_size=batch_size,
        task=TASKS["classification"],
        flip=flip,
        shift=shift,
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
    shift: int = 0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield outputs float32 and targets of each batch, in evaluation mode."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        count = len(source)
        bounds = [*range(0, count, batch_size), count]
        for images, labels, _ in source.pieces(np.arange(count), bounds):
            with torch.inference_mode(), autocast(precision, source.device):
                x, y = task.examples(normaliser(images), labels)
                outputs = averaged(model, x, flip=flip)
                if shift:
                    moved = [
                        averaged(model, one, flip=flip) for one in shifted(x, shift)
                    ]
                    outputs = (outputs + sum(moved) / len(moved)) / 2
            yield outputs, y
    finally:
        for module, training in modes.items():
            module.training = training


def averaged(model: nn.Module, x: Tensor, *, flip: bool) -> Tensor:
    """Return the outputs for images, or their means with those of the mirror images."""
    outputs: Tensor = model(x).float()
    return (outputs + model(x.flip(3)).float()) / 2 if flip else outputs


def shifted(x: Tensor, pixels: int) -> list[Tensor]:
    """Return images moved to the top left and to the bottom right, borders reflected."""
    height, width = x.shape[2:]
    padded = F.pad(x, [pixels] * 4, "reflect")
    return [
        padded[:, :, first : first + height, first : first + width]
        for first in (2 * pixels, 0)
    ]
