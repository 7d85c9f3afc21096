"""MNIST: handwritten digits (LeCun, Bottou, Bengio, Haffner, 1998)."""

from pathlib import Path

from labmill.data import idx
from labmill.data.prepare import Decoded

CLASSES = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
IMAGE_SIZE = 28
CHANNELS = 1
AUGMENTATION = {"crop": 2}
ORIGIN = "http://yann.lecun.com/exdb/mnist/"
LICENCE = "CC BY-SA 3.0"
URLS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
SOURCES = {
    "train-images-idx3-ubyte.gz": {
        "size": 9912422,
        "sha256": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    },
    "train-labels-idx1-ubyte.gz": {
        "size": 28881,
        "sha256": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    },
    "t10k-images-idx3-ubyte.gz": {
        "size": 1648877,
        "sha256": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    },
    "t10k-labels-idx1-ubyte.gz": {
        "size": 4542,
        "sha256": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
}


def decode(files: dict[str, Path]) -> Decoded:
    """Return 60,000 training and 10,000 test images, grey, 28 × 28."""
    return idx.read_pool(files, CLASSES)
