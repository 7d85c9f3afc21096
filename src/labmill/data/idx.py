"""The idx format of MNIST and the datasets packed like it.

Format: yann.lecun.com/exdb/mnist. Big-endian: two zero bytes, a type code, the number
of dimensions, each dimension as 4 bytes, then the values.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from labmill.core.errors import LabmillError
from labmill.data.prepare import Decoded

if TYPE_CHECKING:
    import numpy as np

UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> "np.ndarray":
    """Return the uint8 array of a gzip-packed idx file; LabmillError if it is not one."""
    import numpy as np

    try:
        content = gzip.decompress(path.read_bytes())
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise LabmillError(f"{path}: not a gzip file: {error}") from None
    if len(content) < 4 or content[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise LabmillError(
            f"{path}: found the first bytes {content[:4].hex()}, "
            "an idx file of bytes starts with 000008"
        )
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise LabmillError(f"{path}: ends inside its header")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise LabmillError(
            f"{path}: found {len(content) - start} values, "
            f"its header says {' × '.join(map(str, shape))}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_pool(files: dict[str, Path], classes: tuple[str, ...]) -> Decoded:
    """Return the four files of an MNIST-like dataset as one pool."""
    import numpy as np

    images, labels = (
        [read_idx(files[f"{part}-{kind}-ubyte.gz"]) for part in ("train", "t10k")]
        for kind in ("images-idx3", "labels-idx1")
    )
    return Decoded(
        images=np.concatenate(images)[:, None],
        labels=np.concatenate(labels).astype(np.int64),
        train=len(images[0]),
        classes=classes,
    )
