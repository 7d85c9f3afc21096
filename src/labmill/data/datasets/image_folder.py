"""The user's own images: a folder per class, PNG or JPEG of any size and mode.

Either class folders, or `train/`, optionally `validation/` and `test/` (also `val`,
`valid`, in any case) with the class folders in each; the study splits off a part that
is missing. Hidden files and folders are left out, links are followed.
"""

import hashlib
import io
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from labmill.core.errors import LabmillError
from labmill.core.files import writing
from labmill.data.image_tree import ImageTree, find_images, refuse, shown
from labmill.data.prepare import Decoded

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

log = logging.getLogger("labmill")

CLASSES = None
IMAGE_SIZE = None
CHANNELS = None
AUGMENTATION = {"flip": True}
ORIGIN = "the user's own images"
LICENCE = "that of the images"

# The rule that decodes asks for 4 GB. An image takes up to 20 bytes a pixel meanwhile.
MOST_PIXELS = 100_000_000
MOST_FILE_BYTES = 512 << 20
MOST_ARRAY_BYTES = 1 << 30  # a larger array lies in a file


def decode(
    files: dict[str, Path],
    *,
    path: str,
    image_size: int = 32,
    channels: Literal[1, 3] = 3,
    broken: Literal["refuse", "skip"] = "refuse",
) -> Decoded:
    """Crop every image to its central square, resize (Lanczos) and convert it.

    Transparent images are laid on white, 16-bit greys scaled to 8, photographs rotated
    as their EXIF tag demands. Files of a class are in the order of their names.

    Args:
        files: none.
        path: the folder, absolute or relative to where the workflow runs; `~` is home.
        image_size: side of the decoded images, in pixels.
        channels: 1 for grey, 3 for colour.
        broken: `skip` leaves out images that cannot be read, `refuse` lists them.
    """
    import numpy as np

    tree = find_images(path, broken)
    found = [(*item, part) for part, images in tree.parts.items() for item in images]
    images = allocate((len(found), channels, image_size, image_size))
    lost = list(tree.lost)
    kept: list[tuple[int, str]] = []
    digest = hashlib.sha256()
    for file, label, part in found:
        try:
            content = read_file(file)
            images[len(kept)] = pixels(content, file, image_size, channels)
        except LabmillError as error:
            lost.append(str(error))
            continue
        below = os.fsencode(file.relative_to(tree.root).as_posix())
        digest.update(b"%s\0%d\0%d\0" % (below, label, len(content)))
        digest.update(content)
        kept.append((label, part))
    if broken == "refuse":
        refuse(tree, lost)
    describe_tree(tree, lost)
    present = set(kept)
    sizes = {part: sum(part == own for _, own in kept) for part in tree.parts}
    for part in tree.parts:
        for label, name in enumerate(tree.classes):
            if (label, part) not in present:
                raise LabmillError(
                    f"image_folder {shown(tree.root)}: no {part} image of class "
                    f"{name!r} can be read"
                )
    return Decoded(
        images=images[: len(kept)],
        labels=np.array([label for label, _ in kept], np.int64),
        train=sizes["train"],
        validation=sizes.get("validation", 0),
        classes=tree.classes,
        digests={"files": digest.hexdigest()},
        left_out=dict(tree.left_out) | ({"broken": len(lost)} if lost else {}),
    )


def describe_tree(tree: ImageTree, lost: list[str]) -> None:
    """Log what was taken for what, and what was left out."""
    for note in tree.notes:
        log.info("%s", note)
    if tree.left_out:
        counts = ", ".join(
            f"{n} {ending}" for ending, n in sorted(tree.left_out.items())
        )
        log.warning("%s: left out: %s", shown(tree.root), counts)
    if lost:
        log.warning("%s: skipped: %s", shown(tree.root), "; ".join(lost))


def allocate(shape: tuple[int, ...]) -> "np.ndarray":
    """Return an array of uint8, in an unnamed file if it is large."""
    import numpy as np

    if (size := int(np.prod(shape, dtype=object))) <= MOST_ARRAY_BYTES:
        return np.empty(shape, np.uint8)
    with writing(f"{size / 1e9:.0f} GB of decoded images in {Path.cwd()}"):
        file = tempfile.TemporaryFile(dir=".")  # noqa: SIM115 (the array keeps it)
        os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, np.uint8, "r+", shape=shape)


def read_file(path: Path) -> bytes:
    """Return the bytes of a file. Raises LabmillError if it is too large."""
    try:
        if (size := path.stat().st_size) <= MOST_FILE_BYTES:
            return path.read_bytes()
        reason = f"{size} bytes; allowed: up to {MOST_FILE_BYTES}"
    except OSError as error:
        reason = error.strerror or str(error)
    raise LabmillError(f"{shown(path)}: cannot be read as an image: {reason}")


def pixels(content: bytes, file: Path, size: int, channels: int) -> "np.ndarray":
    """Decode one image to uint8 (channels, size, size). Raises LabmillError."""
    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as opened:
            if (found := opened.width * opened.height) > MOST_PIXELS:
                raise ValueError(f"{found} pixels; allowed: up to {MOST_PIXELS}")
            image = to_plain_mode(ImageOps.exif_transpose(opened), channels)
            image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    except Exception as error:
        reason = str(error) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = "it is neither PNG nor JPEG"
        raise LabmillError(
            f"{shown(file)}: cannot be read as an image: {reason}"
        ) from None
    array = np.asarray(image)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def to_plain_mode(image: "Image", channels: int) -> "Image":
    """Return the image in 8-bit grey or RGB, whatever its mode."""
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
