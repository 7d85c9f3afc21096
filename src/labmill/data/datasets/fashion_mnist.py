"""Fashion-MNIST: Zalando's articles (Xiao, Rasul, Vollgraf, 2017, arXiv:1708.07747)."""

from pathlib import Path

from labmill.data import idx
from labmill.data.prepare import Decoded

CLASSES = (
    "t_shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle_boot",
)
IMAGE_SIZE = 28
CHANNELS = 1
AUGMENTATION = {"flip": True}
ORIGIN = "https://github.com/zalandoresearch/fashion-mnist"
LICENCE = "MIT"
URLS = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
)
SOURCES = {
    "train-images-idx3-ubyte.gz": {
        "size": 26421880,
        "sha256": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    },
    "train-labels-idx1-ubyte.gz": {
        "size": 29515,
        "sha256": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    },
    "t10k-images-idx3-ubyte.gz": {
        "size": 4422102,
        "sha256": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    },
    "t10k-labels-idx1-ubyte.gz": {
        "size": 5148,
        "sha256": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
}


def decode(files: dict[str, Path]) -> Decoded:
    """Return 60,000 training and 10,000 test images, grey, 28 × 28."""
    return idx.read_pool(files, CLASSES)
