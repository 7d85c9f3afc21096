"""Random erasing: a rectangle anywhere is filled (Zhong et al., 2017, arXiv:1708.04896).

Differs: filled with the image's mean colour; a rectangle is cut at the image's border
where the paper draws another one.
"""

import torch
from torch import Tensor

DRAWS = 5
# Patches hide what other changes leave of an image.
POSITION = 20
REQUIRES = {
    "probability": ("0 < probability <= 1", "must be above 0 and at most 1"),
    "area": (
        "len(area) == 2 and 0 < area[0] <= area[1] < 1",
        "must be the smallest and the largest share, above 0 and below 1",
    ),
}
# Height over width, and the same for width over height.
LEAST_ASPECT = 0.3


def augment(
    images: Tensor,
    draws: Tensor,
    *,
    probability: float = 0.5,
    area: tuple[float, ...] = (0.02, 0.33),
) -> Tensor:
    """Fill a rectangle of some images.

    Args:
        images: uint8 (B, C, H, W).
        draws: float32 (B, 5).
        probability: share of images with a rectangle.
        area: smallest and largest area of the rectangle, as a share of the image.
    """
    chosen, size, shape, top, left = draws.unbind(1)
    covered = area[0] + size * (area[1] - area[0])
    aspect = LEAST_ASPECT ** (2 * shape - 1)
    rows = stretch(images.shape[2], (covered * aspect).sqrt(), top)
    columns = stretch(images.shape[3], (covered / aspect).sqrt(), left)
    hole = (chosen < probability)[:, None, None] & rows[:, :, None] & columns[:, None]
    colour = images.float().mean((2, 3), keepdim=True).round().to(torch.uint8)
    return torch.where(hole[:, None], colour, images)


def stretch(length: int, share: Tensor, place: Tensor) -> Tensor:
    """Return which of `length` pixels are in a stretch of that share, (B, length)."""
    long = (share * length).round().clamp(1, length)[:, None]
    first = (place[:, None] * (length - long + 1)).floor()
    line = torch.arange(length, device=share.device)
    return (line >= first) & (line < first + long)
