"""The dataset's images as a report shows them, and a file of those that it shows."""

import io
from pathlib import Path

import numpy as np

from labmill.core.errors import LabmillError
from labmill.data.arrays import load_array
from labmill.data.records import Card


class Pool:
    """A dataset's images by index, which remembers the ones that were requested.

    An archive holds no dataset: there the pool has the images that its report shows.

    Attributes:
        shape: of all images, (N, channels, height, width).
        shown: indices of the images requested so far.
    """

    def __init__(self, path: Path) -> None:
        """Open images.npy, which has its digest in the card, or shown.npz next to it.

        Raises:
            LabmillError: neither is there, or one is damaged.
        """
        packed = path.with_name("shown.npz")
        self.shown: set[int] = set()
        self.positions: dict[int, int] | None = None
        self.images: np.ndarray
        self.shape: tuple[int, ...]
        if path.is_file():
            self.images = checked_images(path)
            self.shape = self.images.shape
        elif packed.is_file():
            try:
                with np.load(packed) as file:
                    self.images, indices = file["images"], file["indices"].tolist()
                    self.shape = tuple(file["shape"].tolist())
                    self.positions = {index: at for at, index in enumerate(indices)}
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise LabmillError(f"{packed}: is damaged: {error}") from None
        else:
            raise LabmillError(
                f"{path}: the report shows images of the dataset, and they are missing; "
                f"snakemake --profile profiles/local data/{path.parent.name}/images.npy "
                "fetches them"
            )

    def __getitem__(self, index: int | np.ndarray) -> np.ndarray:
        """Return images, uint8: (channels, height, width) of a number, (n, …) of an array."""
        wanted = np.asarray(index)
        self.shown.update(wanted.ravel().tolist())
        if self.positions is not None:
            try:
                wanted = np.array([self.positions[i] for i in wanted.ravel().tolist()])
            except KeyError as error:
                raise LabmillError(f"the archive holds no image {error}") from None
            wanted = wanted.reshape(np.shape(index))
        return np.asarray(self.images[wanted if wanted.ndim else int(wanted)])


def checked_images(path: Path) -> np.ndarray:
    """Map images.npy after comparing it with the digest in the card next to it."""
    return load_array(path, Card.read(path.with_name("card.json")))


def shown_images(path: Path, indices: list[int]) -> bytes:
    """Return the content of shown.npz: those images of images.npy, and the shape of all."""
    images = checked_images(path)
    file = io.BytesIO()
    np.savez_compressed(
        file, images=images[indices], indices=np.array(indices), shape=images.shape
    )
    return file.getvalue()
