"""Verify raw files, and unpack them from a tar archive: the declared ones alone.

Own code, because `tarfile` alone reads a compression bomb to its end, and writes what
nobody asked for.
"""

import bz2
import gzip
import hashlib
import lzma
import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, TypedDict, cast

from labmill.core.errors import LabmillError
from labmill.core.files import atomic_write, file_digest

SLACK = 16 << 20  # bytes an archive may hold in addition to the wanted files
SUFFIXES = ("", ".gz", ".xz", ".bz2")
OPENERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"\xfd7zXZ": lzma.open,
    b"BZh": bz2.open,
}


class SourceFile(TypedDict):
    """Size in bytes and SHA-256 of one raw file, as a dataset's `SOURCES` has them.

    Of pretrained weights neither may be known, or only how the digest begins.
    """

    size: int | None
    sha256: str


def sizes(files: Mapping[str, SourceFile]) -> int:
    """Return the bytes of all files whose size is known."""
    return sum(expected["size"] or 0 for expected in files.values())


def problem(path: Path, expected: SourceFile) -> str | None:
    """Return why the file is not the declared one; None if it is."""
    if not path.is_file():
        return "no such file"
    if expected["size"] not in (None, size := path.stat().st_size):
        return f"found {size} bytes, expected {expected['size']}"
    wanted = expected["sha256"]
    if wanted and not (found := file_digest(path)).startswith(wanted):
        return f"found sha256 {found}, expected {wanted}"
    return None


class BoundedStream:
    """A stream that refuses to give more than `limit` bytes."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self.stream = stream
        self.left = limit

    def read(self, count: int) -> bytes:
        block = self.stream.read(min(count, self.left + 1))
        self.left -= len(block)
        if self.left < 0:
            raise LabmillError("unpacks to far more than the files it should hold")
        return block


def unpack(path: Path, wanted: Mapping[str, SourceFile], folder: Path) -> None:
    """Write the `wanted` members of the archive at `path` below `folder`.

    Only regular files of exactly these names are read, so links, `../` and absolute
    paths have no effect; each file appears whole and verified or not at all.
    """
    limit = sizes(wanted) + SLACK
    missing = dict(wanted)
    try:
        with open_unpacked(path) as stream:
            bounded = cast(IO[bytes], BoundedStream(stream, limit))
            with tarfile.open(fileobj=bounded, mode="r|") as tar:
                for member in tar:
                    name = member.name.removeprefix("./")
                    if name in missing and member.isreg():
                        source = cast(IO[bytes], tar.extractfile(member))
                        write_member(source, folder / name, name, missing.pop(name))
                    if not missing:
                        return
    except (EOFError, OSError, tarfile.TarError, lzma.LZMAError, zlib.error) as error:
        raise LabmillError(f"cannot be unpacked: {error}") from None
    raise LabmillError(f"lacks {', '.join(missing)}")


def open_unpacked(path: Path) -> IO[bytes]:
    """Open the archive, decompressed as its first bytes demand, whatever its name."""
    with path.open("rb") as file:
        start = file.read(8)
    for magic, opener in OPENERS.items():
        if start.startswith(magic):
            return cast(IO[bytes], opener(path, "rb"))
    return path.open("rb")


def write_member(
    source: IO[bytes], path: Path, name: str, expected: SourceFile
) -> None:
    """Write one member of the archive if its size and digest are the declared ones."""
    content = source.read((expected["size"] or 0) + 1)
    if len(content) != expected["size"]:
        raise LabmillError(f"{name} has another size, expected {expected['size']}")
    if (found := hashlib.sha256(content).hexdigest()) != expected["sha256"]:
        raise LabmillError(f"{name} has sha256 {found}, expected {expected['sha256']}")
    with atomic_write(path, "wb") as file:
        file.write(content)
