"""The dataset's images as a report shows them, and those that it showed in a file."""

import io
from pathlib import Path

import numpy as np

from labmill.errors import LabmillError


class Pool:
    """A dataset's images by index, which remembers the ones that were asked for.

    Of a capsule, which holds no dataset, it has the images that its report shows.

    Attributes:
        shape: of all images, (N, channels, height, width).
        shown: indices of the images asked for so far.
    """

    def __init__(self, path: Path) -> None:
        """path: images.npy, or where it would be. LabmillError without any images."""
        kept = path.with_name("shown.npz")
        self.shown: set[int] = set()
        self.places: dict[int, int] | None = None
        if path.is_file():
            self.images = np.load(path, mmap_mode="r")
            self.shape = self.images.shape
        elif kept.is_file():
            with np.load(kept) as file:
                self.images, indices = file["images"], file["indices"].tolist()
                self.shape = tuple(file["shape"].tolist())
            self.places = {index: place for place, index in enumerate(indices)}
        else:
            raise LabmillError(
                f"{path}: a report shows images of the dataset, and they are not here; "
                f"snakemake --profile profiles/local data/{path.parent.name}/images.npy "
                "fetches them"
            )

    def __getitem__(self, index: int | np.ndarray) -> np.ndarray:
        """Images, uint8: (channels, height, width) of a number, (n, …) of an array."""
        wanted = np.asarray(index)
        self.shown.update(wanted.ravel().tolist())
        if self.places is not None:
            try:
                wanted = np.array([self.places[i] for i in wanted.ravel().tolist()])
            except KeyError as error:
                raise LabmillError(f"the capsule holds no image {error}") from None
            wanted = wanted.reshape(np.shape(index))
        return np.asarray(self.images[wanted if wanted.ndim else int(wanted)])


def shown(path: Path, indices: list[int]) -> bytes:
    """The content of shown.npz: those images of images.npy, and the shape of all."""
    images = np.load(path, mmap_mode="r")
    file = io.BytesIO()
    np.savez_compressed(
        file, images=images[indices], indices=np.array(indices), shape=images.shape
    )
    return file.getvalue()
