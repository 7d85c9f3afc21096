"""Handwritten digits, 8 × 8, bundled with scikit-learn (UCI, Alpaydin, Kaynak, 1998).

Real images without a download: the default dataset. scikit-learn carries the test part
of UCI's set, so there is no official test part; the study splits one off.
"""

from pathlib import Path

from labmill.data import Decoded

CLASSES = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
IMAGE_SIZE = 8
CHANNELS = 1
AUGMENTATION = {"crop": 1}
ORIGIN = "https://archive.ics.uci.edu/dataset/80"
URLS = ()
SOURCES = {}


def decode(files: dict[str, Path]) -> Decoded:
    """1,797 grey images; the 17 grey values 0..16 are spread over 0..255."""
    import numpy as np
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Decoded(
        images=np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None],
        labels=bunch.target.astype(np.int64),
        train=len(bunch.target),
        classes=CLASSES,
    )
