"""Grey images of stripes across, along or none."""

import numpy as np

from labmill.data.prepare import Decoded

CLASSES = ("across", "along", "none")
IMAGE_SIZE = 8
CHANNELS = 1
ORIGIN = "made up"


def decode(files, count: int = 90):
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    images = rng.integers(0, 120, (count, 1, 8, 8), dtype=np.uint8)
    images[labels == 0, :, ::2] += 130
    images[labels == 1, :, :, ::2] += 130
    return Decoded(images, labels.astype(np.int64), count, CLASSES)
