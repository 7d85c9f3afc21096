"""Rotation by degrees, and scale: one bilinear resampling; outside is black."""

import torch
from torch import Tensor
from torch.nn import functional as F

DRAWS = 2
REQUIRES = {
    "degrees": ("0 <= degrees <= 180", "must be from 0 to 180"),
    "scale": ("0 <= scale < 1", "must be at least 0 and below 1"),
}


def augment(
    images: Tensor, draws: Tensor, *, degrees: float = 15.0, scale: float = 0.0
) -> Tensor:
    """Turn and scale each image about its centre.

    Args:
        images: uint8 (B, C, H, W).
        draws: float32 (B, 2).
        degrees: largest rotation, to either side.
        scale: largest relative change of size.
    """
    turn, size = (2 * draws - 1).unbind(1)
    return warp(images, rotation(turn * degrees) / (1 + size * scale)[:, None, None])


def rotation(degrees: Tensor) -> Tensor:
    """Return the matrices (B, 2, 3) that turn images counter-clockwise."""
    angle = degrees * (torch.pi / 180)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return torch.stack([cos, -sin, zero, sin, cos, zero], 1).view(-1, 2, 3)


def warp(images: Tensor, matrix: Tensor) -> Tensor:
    """Resample images: the output at p is the input at `matrix` @ (p, 1).

    Positions are (x, y) from -1 to 1. Products are written out: a matrix product of a
    batch may round otherwise than that of a single image.
    """
    height, width = images.shape[2:]
    x = (2 * torch.arange(width, device=images.device) + 1) / width - 1
    y = ((2 * torch.arange(height, device=images.device) + 1) / height - 1)[:, None]
    a, b, c = matrix[..., None, None].unbind(2)  # each (B, 2, 1, 1)
    grid = (a * x + b * y + c).movedim(1, 3)
    sampled = F.grid_sample(images.float(), grid, align_corners=False)
    return sampled.round_().to(torch.uint8)
