"""The error of the test images."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class ImageError:
    """What other test images would add to the error of a difference.

    Attributes:
        images: number of test images.
        variance: to add to the squared error from seeds.
        freedom: degrees of freedom of `variance`.
    """

    images: int
    variance: float
    freedom: float


def image_error(
    weights: Mapping[str, float], correct: Mapping[str, ArrayLike]
) -> ImageError:
    """Estimate the image error of a contrast, differences taken image by image.

    Seeds and images are crossed random factors. The variance over images of the mean
    difference, divided by the number of images, contains the interaction seed × image
    / (n·N), which the variance over seeds contains too; it is subtracted here, so that
    it counts once (Searle, Casella and McCulloch 1992, chapter 4: two-way crossed
    model).

    Args:
        weights: variant → weight, as in `contrasts.Contrast`.
        correct: variant → bool (seeds, images): which run is right on which image.
            All variants have the same images in the same order.

    Raises:
        ValueError: If the images differ or there are fewer than two.
    """
    difference: NDArray[np.float64] | float = 0.0
    interaction, counts = 0.0, set()
    for variant, weight in weights.items():
        right = np.atleast_2d(np.asarray(correct[variant], dtype=np.float64))
        seeds, images = right.shape
        counts.add(images)
        if len(counts) > 1 or images < 2:
            raise ValueError(
                f"image_error: {variant} has {images} images; all variants must have "
                f"the same number, at least two; found {sorted(counts)}"
            )
        difference = difference + weight * right.mean(axis=0)
        if seeds > 1:
            rest = right - right.mean(0) - right.mean(1, keepdims=True) + right.mean()
            mean_square = (rest**2).sum() / ((seeds - 1) * (images - 1))
            interaction += weight**2 * float(mean_square) / seeds
    return from_differences(np.asarray(difference), interaction=interaction)


def from_differences(differences: ArrayLike, *, interaction: float = 0.0) -> ImageError:
    """Estimate the image error from one mean difference per image.

    Args:
        differences: (images,), means over seeds of first minus second.
        interaction: variance of one image's mean difference that is due to the seeds
            (0 if unknown: the interval is then somewhat too wide).

    Raises:
        ValueError: If there are fewer than two images.
    """
    differences = np.asarray(differences, dtype=np.float64)
    if differences.ndim != 1 or len(differences) < 2:
        raise ValueError(
            "from_differences: expected one number for each of at least two images; "
            f"found the shape {differences.shape}"
        )
    images = len(differences)
    variance = max(0.0, float(differences.var(ddof=1)) - interaction) / images
    return ImageError(images, variance, float(images - 1))
