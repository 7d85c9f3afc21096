"""TrivialAugment: one random change of random strength per image.

Müller and Hutter, 2021, arXiv:2103.10158, with the wide ranges of the paper.

Differs: bilinear resampling; a shift moves an image at most by its side.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from labmill.data.augmentations.affine import rotation, warp

DRAWS = 3
POSITION = 10
STRENGTHS = 31
GREY = (0.299, 0.587, 0.114)


def augment(images: Tensor, draws: Tensor) -> Tensor:
    """Change each image by one operation.

    Args:
        images: uint8 (B, C, H, W).
        draws: float32 (B, 3): operation, strength, direction.
    """
    which = (draws[:, 0] * len(OPERATIONS)).long()
    strength = (draws[:, 1] * STRENGTHS).floor() / (STRENGTHS - 1)
    signed = torch.where(draws[:, 2] < 0.5, strength, -strength)
    changed = images.clone()
    for number, operation in enumerate(OPERATIONS):
        rows = (which == number).nonzero()[:, 0]
        by = strength if operation in UNSIGNED else signed
        if len(rows):
            changed[rows] = operation(images[rows], by[rows])
    return changed


def identity(images: Tensor, _: Tensor) -> Tensor:
    """Change nothing."""
    return images


def rotate(images: Tensor, strength: Tensor) -> Tensor:
    """Turn by up to 135 degrees."""
    return warp(images, rotation(135 * strength))


def moved(row: int, column: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a shear (column 0 or 1) or a shift (column 2) along x (row 0) or y (row 1)."""

    def operation(images: Tensor, strength: Tensor) -> Tensor:
        matrix = torch.eye(2, 3, device=images.device).repeat(len(images), 1, 1)
        if column == 2:
            side = images.shape[3 - row]
            matrix[:, row, 2] = strength * min(32, side) * 2 / side
        else:
            # About the top left corner, which is at (-1, -1).
            matrix[:, row, column] = matrix[:, row, 2] = 0.99 * strength
        return warp(images, matrix)

    return operation


def blended(base: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Return an operation that moves images away from their `base`, or towards it."""

    def operation(images: Tensor, strength: Tensor) -> Tensor:
        values = images.float()
        factor = (1 + 0.99 * strength)[:, None, None, None]
        result = base(values).lerp(values, factor)
        return result.round().clamp(0, 255).to(torch.uint8)

    return operation


def grey(values: Tensor) -> Tensor:
    """Return grey images (B, 1, H, W)."""
    if values.shape[1] != len(GREY):
        return values.mean(1, keepdim=True)
    red, green, blue = values.unbind(1)
    return (GREY[0] * red + GREY[1] * green + GREY[2] * blue)[:, None]


def smooth(values: Tensor) -> Tensor:
    """Return the means of 3×3 pixels, the middle one five times; borders as they are."""
    result = values.clone()
    if min(values.shape[2:]) > 2:
        windows = values.unfold(2, 3, 1).unfold(3, 3, 1)
        middle = values[:, :, 1:-1, 1:-1]
        result[:, :, 1:-1, 1:-1] = (windows.sum((4, 5)) + 4 * middle) / 13
    return result


def posterize(images: Tensor, strength: Tensor) -> Tensor:
    """Keep the 8 to 2 highest bits."""
    lowest = 2 ** (6 * strength).round().to(torch.uint8)[:, None, None, None]
    return images // lowest * lowest


def solarize(images: Tensor, strength: Tensor) -> Tensor:
    """Invert pixels from a threshold on."""
    threshold = (255 * (1 - strength))[:, None, None, None]
    return torch.where(images >= threshold, 255 - images, images)


def autocontrast(images: Tensor, _: Tensor) -> Tensor:
    """Stretch each channel to 0..255."""
    values = images.int()
    low, high = values.amin((2, 3), keepdim=True), values.amax((2, 3), keepdim=True)
    stretched = (values - low) * 255 // (high - low).clamp(min=1)
    return torch.where(high > low, stretched, values).to(torch.uint8)


def equalize(images: Tensor, _: Tensor) -> Tensor:
    """Make each channel's values equally frequent, as PIL does."""
    flat = images.flatten(2).long()
    counts = flat.new_zeros(*flat.shape[:2], 256)
    counts.scatter_add_(2, flat, torch.ones_like(flat))
    brightest = counts.gather(2, flat.amax(2, keepdim=True))
    step = (flat.shape[2] - brightest) // 255
    table = (counts.cumsum(2) - counts + step // 2) // step.clamp(min=1)
    table = torch.where(step > 0, table, torch.arange(256, device=images.device))
    return table.clamp(max=255).gather(2, flat).view_as(images).to(torch.uint8)


OPERATIONS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    identity,
    autocontrast,
    equalize,
    rotate,
    solarize,
    blended(grey),
    posterize,
    blended(lambda values: grey(values).mean((1, 2, 3), keepdim=True)),  # contrast
    blended(torch.zeros_like),  # brightness
    blended(smooth),  # sharpness
    moved(0, 1),
    moved(1, 0),
    moved(0, 2),
    moved(1, 2),
)
UNSIGNED = (solarize, posterize)
