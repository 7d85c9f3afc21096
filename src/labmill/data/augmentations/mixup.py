"""Mixup: images and labels are blended in pairs (Zhang et al., 2018, arXiv:1710.09412).

Differs: each image has its own share, and its partner is any training image, not one
of the batch.
"""

from functools import cache

import numpy as np
import torch
from scipy.special import betaincinv
from torch import Tensor

DRAWS = 2
REQUIRES = {
    "alpha": ("0.01 <= alpha <= 100", "must be from 0.01 to 100"),
    "probability": ("0 < probability <= 1", "must be above 0 and at most 1"),
}
POINTS = 4096


def augment(
    images: Tensor,
    draws: Tensor,
    *,
    partners: Tensor,
    alpha: float = 0.2,
    probability: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Blend some images with their partners.

    Args:
        images: uint8 (B, C, H, W).
        draws: float32 (B, 2).
        partners: images of the same shape.
        alpha: shares are drawn from Beta(alpha, alpha); 1: any share is as likely.
        probability: share of images that are blended.
    """
    own = torch.where(draws[:, 0] < probability, beta(draws[:, 1], alpha), 1.0)
    mixed = partners.float().lerp(images.float(), own[:, None, None, None])
    return mixed.round_().to(torch.uint8), own


def beta(uniform: Tensor, alpha: float) -> Tensor:
    """Turn uniform numbers into numbers of Beta(alpha, alpha), by its quantiles."""
    table = quantiles(alpha).to(uniform.device)
    place = uniform * POINTS
    below = place.long()
    return table[below].lerp(table[below + 1], place - below)


@cache
def quantiles(alpha: float) -> Tensor:
    """Return quantiles of Beta(alpha, alpha) at 0, 1/POINTS, …, 1, and 1 again."""
    found = betaincinv(alpha, alpha, np.linspace(0, 1, POINTS + 1))
    return torch.from_numpy(np.append(found, 1.0)).float()
