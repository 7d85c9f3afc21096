"""Files out of a tar archive: by name, of declared size and digest, nothing else."""

import bz2
import gzip
import hashlib
import lzma
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from labmill.errors import LabmillError
from labmill.runtime import atomic_write

BLOCK = 1 << 20
SLACK = 16 << 20  # bytes an archive may hold beside the wanted files
SUFFIXES = ("", ".gz", ".xz", ".bz2")
OPENERS = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ": lzma.open, b"BZh": bz2.open}


class Bounded:
    """A stream that refuses to give more than `limit` bytes: no bomb goes off."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self.stream = stream
        self.left = limit

    def read(self, count: int) -> bytes:
        block = self.stream.read(min(count, self.left + 1))
        self.left -= len(block)
        if self.left < 0:
            raise LabmillError("unpacks to far more than the files it should hold")
        return block


def unpack(path: Path, wanted: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Write the `wanted` members of the archive at `path` below `folder`, verified.

    wanted: path in the archive -> `size` in bytes and `sha256`. Only regular files of
    exactly these names are read, so links, `../` and absolute paths have no effect;
    each file appears whole and verified or not at all. Raises LabmillError with the
    reason, without the archive's name.
    """
    limit = sum(entry["size"] for entry in wanted.values()) + SLACK
    missing = dict(wanted)
    try:
        with (
            opened(path) as stream,
            tarfile.open(fileobj=Bounded(stream, limit), mode="r|") as tar,
        ):
            for member in tar:
                name = member.name.removeprefix("./")
                if name in missing and member.isreg():
                    write(tar.extractfile(member), name, missing.pop(name), folder)
                if not missing:
                    return
    except (
        EOFError,
        OSError,
        tarfile.TarError,
        lzma.LZMAError,
        zlib.error,
    ) as error:
        raise LabmillError(f"cannot be unpacked: {error}") from None
    raise LabmillError(f"lacks {', '.join(missing)}")


def opened(path: Path) -> IO[bytes]:
    """The archive's bytes, unpacked as its first bytes say, whatever its name."""
    with path.open("rb") as file:
        head = file.read(8)
    for magic, opener in OPENERS.items():
        if head.startswith(magic):
            return opener(path, "rb")
    return path.open("rb")


def write(source: IO[bytes], name: str, entry: Mapping[str, Any], folder: Path) -> None:
    """Copy one member to `folder / name`; keep it only if size and digest are right."""
    digest, size = hashlib.sha256(), 0
    with atomic_write(folder / name, "wb") as file:
        while block := source.read(BLOCK):
            size += len(block)
            if size > entry["size"]:
                break
            digest.update(block)
            file.write(block)
        if size != entry["size"]:
            raise LabmillError(f"{name} has another size, expected {entry['size']}")
        if digest.hexdigest() != entry["sha256"]:
            raise LabmillError(
                f"{name} has sha256 {digest.hexdigest()}, expected {entry['sha256']}"
            )
