"""CutMix: a rectangle of another image, labels by area (Yun et al., 2019, arXiv:1905.04899).

Differs: each image has its own rectangle, and its partner is any training image, not
one of the batch.
"""

import torch
from torch import Tensor

from labmill.data.augmentations.mixup import beta

DRAWS = 4
REQUIRES = {
    "alpha": ("0.01 <= alpha <= 100", "must be from 0.01 to 100"),
    "probability": ("0 < probability <= 1", "must be above 0 and at most 1"),
}


def augment(
    images: Tensor,
    draws: Tensor,
    *,
    partners: Tensor,
    alpha: float = 1.0,
    probability: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Replace a rectangle of some images by the same one of their partners.

    Args:
        images: uint8 (B, C, H, W).
        draws: float32 (B, 4).
        partners: images of the same shape.
        alpha: the area that is left is drawn from Beta(alpha, alpha).
        probability: share of images that get a rectangle.
    """
    chosen, area, centre_y, centre_x = draws.unbind(1)
    left = torch.where(chosen < probability, beta(area, alpha), 1.0)
    side = (1 - left).sqrt()
    rows = around(images.shape[2], side, centre_y)
    columns = around(images.shape[3], side, centre_x)
    pasted = rows[:, :, None] & columns[:, None]
    mixed = torch.where(pasted[:, None], partners, images)
    return mixed, 1 - pasted.float().mean((1, 2))


def around(length: int, share: Tensor, centre: Tensor) -> Tensor:
    """Return which of `length` pixels are near a centre, (B, length); cut at the border."""
    half = (share * length / 2)[:, None]
    distance = torch.arange(length, device=share.device) + 0.5
    return (distance - centre[:, None] * length).abs() < half
