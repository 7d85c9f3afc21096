"""Handwritten digits, 8 × 8, bundled with scikit-learn (UCI, Alpaydin, Kaynak, 1998).

Real images without a download: the default dataset. scikit-learn carries the test part
of UCI's set, so there is no official test part; the study splits one off.
"""

from pathlib import Path

from labmill.data.prepare import Decoded

CLASSES = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
IMAGE_SIZE = 8
CHANNELS = 1
AUGMENTATION = {"crop": 1}
ORIGIN = "https://archive.ics.uci.edu/dataset/80"
LICENCE = "CC BY 4.0"


def decode(files: dict[str, Path]) -> Decoded:
    """Return 1,797 grey images; their 17 grey values are spread over 0..255."""
    import numpy as np
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Decoded(
        images=np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None],
        labels=bunch.target.astype(np.int64),
        train=len(bunch.target),
        classes=CLASSES,
    )
