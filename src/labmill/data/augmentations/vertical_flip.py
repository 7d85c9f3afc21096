"""Mirror upside down: for images without an up, such as those from a microscope."""

import torch
from torch import Tensor


def augment(images: Tensor, draws: Tensor, *, probability: float = 0.5) -> Tensor:
    """Mirror some of the images.

    Args:
        images: uint8 (B, C, H, W).
        draws: float32 (B, 1).
        probability: share of images that are mirrored.
    """
    mirrored = draws[:, 0, None, None, None] < probability
    return torch.where(mirrored, images.flip(2), images)
