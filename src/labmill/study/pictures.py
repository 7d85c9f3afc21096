"""Pictures in the author's words: `![caption](file)`, PNG, JPEG or SVG near the study."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

# A file in round brackets after square ones, as Markdown writes pictures.
FILE = r"\.(?:png|jpe?g|svg)"
PICTURE = re.compile(
    rf"\]\(\s*(?:<([^<>\n]+{FILE})>|([^()<>\s]+{FILE}))", re.IGNORECASE
)
LARGEST = 20_000_000  # bytes


def pictures_in(texts: Iterable[str], folder: Path) -> dict[str, str]:
    """Return the digest of each picture that texts show.

    Args:
        texts: Markdown.
        folder: of the study; pictures are below it.

    Returns:
        Path as it is written → SHA-256. Files that are missing are left out.
    """
    found = {}
    for quoted, plain in PICTURE.findall("\n".join(texts)):
        written = quoted or plain
        path = folder / written
        try:
            # An archive contains them at the same place.
            inside = not {"/", ".."} & {*Path(written).parts}
            if inside and path.is_file() and path.stat().st_size <= LARGEST:
                found[written] = hashlib.sha256(path.read_bytes()).hexdigest()
        except (OSError, ValueError):
            continue
    return found
