"""The user's own images: a folder per class, PNG or JPEG of any size and mode.

Either `train/` and `test/` with a folder per class in each, or the class folders
themselves; then the study splits a test part off.
"""

import hashlib
import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from labmill.data import Decoded
from labmill.errors import LabmillError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

log = logging.getLogger("labmill")

CLASSES = None
IMAGE_SIZE = None
CHANNELS = None
AUGMENTATION = {"flip": True}
ORIGIN = "the user's own images"
URLS = ()
SOURCES = {}

SUFFIXES = (".png", ".jpg", ".jpeg")


def decode(
    files: dict[str, Path],
    *,
    path: str,
    image_size: int = 32,
    channels: Literal[1, 3] = 3,
) -> Decoded:
    """Every image, cropped to its central square, resized (Lanczos) and converted.

    Transparent images are laid on white, 16-bit greys scaled to 8, photographs turned
    as their EXIF tag says. Files of a class come in the order of their names. Raises
    LabmillError for a folder of another shape or a file that is no image.
    """
    import numpy as np

    root = Path(path)
    classes = class_names(path)
    parts = [listing(root / part, classes) for part in parts_of(root)]
    found = [item for part in parts for item in part]
    images = np.empty((len(found), channels, image_size, image_size), np.uint8)
    digest = hashlib.sha256()
    for row, (file, label) in enumerate(found):
        content = file.read_bytes()
        name = file.relative_to(root).as_posix()
        digest.update(f"{name}\0{label}\0{len(content)}\0".encode())
        digest.update(content)
        images[row] = pixels(content, file, image_size, channels)
    return Decoded(
        images=images,
        labels=np.array([label for _, label in found], np.int64),
        train=len(parts[0]),
        classes=classes,
        digests={"files": digest.hexdigest()},
    )


def class_names(path: str) -> tuple[str, ...]:
    """The classes: the folders' names, sorted. Pure Python. Raises LabmillError."""
    root = Path(path)
    if not root.is_dir():
        raise LabmillError(f"image_folder: path {path!r} is not a folder")
    train, *test = (subfolders(root / part) for part in parts_of(root))
    if len(train) < 2:
        raise LabmillError(
            f"image_folder {path}: found the folders {list(train)}; expected a folder "
            "per class, at least two, or train/ and test/ with those"
        )
    if test and test[0] != train:
        odd = sorted({*train} ^ {*test[0]})
        raise LabmillError(
            f"image_folder {path}: train/ and test/ must hold the same class folders; "
            f"found in one only: {', '.join(odd)}"
        )
    return train


def census(path: str) -> str:
    """SHA-256 over the names and sizes of the images, for a quick look at what changed.

    Opens no file, so that a workflow can ask each time it starts. Raises LabmillError.
    """
    root, classes = Path(path), class_names(path)
    digest = hashlib.sha256()
    for part in parts_of(root):
        for file, _ in listing(root / part, classes):
            name = file.relative_to(root).as_posix()
            digest.update(f"{name}\0{file.stat().st_size}\0".encode())
    return digest.hexdigest()


def parts_of(root: Path) -> tuple[str, ...]:
    """The official parts: train and test where both stand there, else the folder."""
    return ("train", "test") if {"train", "test"} == {*subfolders(root)} else (".",)


def subfolders(folder: Path) -> tuple[str, ...]:
    """Names of the folders in a folder, sorted, hidden ones left out."""
    return tuple(
        sorted(
            entry.name
            for entry in folder.iterdir()
            if entry.is_dir() and not entry.name.startswith(".")
        )
    )


def listing(folder: Path, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    """The images of a part with their labels, class by class, sorted by name."""
    found = []
    for label, name in enumerate(classes):
        entries = sorted(
            entry
            for entry in (folder / name).rglob("*")
            if entry.is_file() and not entry.name.startswith(".")
        )
        images = [entry for entry in entries if entry.suffix.lower() in SUFFIXES]
        if not images:
            raise LabmillError(
                f"image_folder {folder / name}: no images; allowed: "
                f"{', '.join(SUFFIXES)}"
            )
        if left_out := len(entries) - len(images):
            log.warning("%s: %d other files left out", folder / name, left_out)
        found += [(entry, label) for entry in images]
    return found


def pixels(content: bytes, file: Path, size: int, channels: int) -> "np.ndarray":
    """One image file as uint8 (channels, size, size). Raises LabmillError."""
    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as opened:
            image = plain_mode(ImageOps.exif_transpose(opened), channels)
    except UnidentifiedImageError:
        raise LabmillError(
            f"{file}: cannot be read as an image: it is neither PNG nor JPEG"
        ) from None
    except Exception as error:
        raise LabmillError(f"{file}: cannot be read as an image: {error}") from None
    image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    array = np.asarray(image)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def plain_mode(image: "Image", channels: int) -> "Image":
    """The image in 8-bit grey or RGB, whatever its mode."""
    import numpy as np
    from PIL import Image

    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.int64) // 257
        image = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
        image = image.convert("RGB")
    return image.convert("L" if channels == 1 else "RGB")
