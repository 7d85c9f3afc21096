"""Archives changed by somebody who knows the format."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labmill.archive.archive import CONTENTS, as_json, pack, sha256


def contents_of(archive: Path) -> dict[str, bytes]:
    """Return the files of an archive by name."""
    with zipfile.ZipFile(archive) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def packed_again(
    archive: Path,
    out: Path,
    change: Callable[[dict[str, bytes]], None],
    **about: Any,
) -> Path:
    """Write an archive after a change, with the digests that its files now have."""
    files = contents_of(archive)
    change(files)
    contents = json.loads(files.pop(CONTENTS)) | about
    contents["files"] = {name: sha256(data) for name, data in files.items()}
    contents["weights"] |= {
        name: sha256(data)
        for name, data in files.items()
        if name.endswith(".safetensors")
    }
    pack(out, {**files, CONTENTS: as_json(contents)})
    return out
