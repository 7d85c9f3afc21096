"""Decoded arrays, memory-mapped and verified, behind the seal of the test set.

Training, search and pruning use `TrainingData`, which has no test part. Evaluation uses
`open_test`, which appends a line to a record each time.
"""

import contextlib
import errno
import hashlib
import json
import os
import time
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from labmill.core.errors import LabmillError, suggest
from labmill.core.files import atomic_write, file_digest, read_json, writing
from labmill.core.logs import log
from labmill.data.records import Card

PARTS = ("train", "validation", "unlabelled")
PartName = Literal["train", "validation", "unlabelled"]


@dataclass(frozen=True)
class Part:
    """Images uint8 (n, C, H, W), labels int64 (n,), their indices in the pool (n,).

    Labels of unlabelled images are -1.
    """

    images: np.ndarray
    labels: np.ndarray
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)


class TrainingData:
    """The parts of a split that training may use. The pool itself is not exposed."""

    def __init__(
        self, pool: np.ndarray, labels: np.ndarray, indices: dict[str, np.ndarray]
    ) -> None:
        self._pool = pool
        self._labels = labels
        self._indices = indices

    @classmethod
    def open(cls, images: Path, split: Path, card: Path) -> "TrainingData":
        """Map the pool and read the split."""
        pool = load_array(images, Card.read(card))
        arrays = read_split(split, len(pool))
        return cls(pool, arrays["labels"], {part: arrays[part] for part in PARTS})

    def part(self, name: PartName, count: int | None = None) -> Part:
        """Copy one part, or its first `count` images.

        Prefixes of `train` are balanced over the classes: label budgets.
        """
        if name not in PARTS:
            raise LabmillError(f"split part: found {name!r}; {suggest(name, PARTS)}")
        indices = self._indices[name]
        if count is not None and not 0 <= count <= len(indices):
            raise LabmillError(
                f"split part {name}: {count} images requested; it has {len(indices)}"
            )
        indices = indices[:count]
        return Part(gather(self._pool, indices), self._labels[indices], indices)

    def size(self, name: PartName) -> int:
        """Return the number of images of a part."""
        return len(self._indices[name])


def read_split(split: Path, images: int) -> dict[str, np.ndarray]:
    """Return the arrays of split.npz: indices per part, and labels of all `images`."""
    arrays = read_npz(split, *PARTS, "labels")
    if len(arrays["labels"]) != images:
        raise LabmillError(
            f"{split}: splits {len(arrays['labels'])} images, and the dataset has "
            f"{images}; delete it and run the same command again"
        )
    return arrays


def open_test(
    images: Path,
    split: Path,
    test: Path,
    card: Path,
    *,
    record: Path,
    who: str,
    weights: Path,
) -> Part:
    """Open the sealed test part, and append one JSON line about it to `record`.

    The line has digests of the part and of the weights, so that a repeated test of the
    same network is recognised.
    """
    pool = load_array(images, Card.read(card))
    sealed = read_npz(test, "test", "labels")
    indices, labels = sealed["test"], sealed["labels"]
    parts = read_split(split, len(pool))
    overlap = sum(np.isin(indices, parts[part]).sum() for part in PARTS)
    if overlap:
        raise LabmillError(
            f"{test}: {overlap} of its images are training images in {split}; "
            "remove both and split again"
        )
    line = {
        "who": who,
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "images": len(indices),
        "part": sha256(indices.tobytes()).hexdigest(),
        "weights": sha256(weights.read_bytes()).hexdigest(),
    }
    append(record, json.dumps(line) + "\n")
    return Part(gather(pool, indices), labels, indices)


def openings(record: Path) -> Counter[str]:
    """Count for how many networks each `who` has opened the test part.

    The same weights on the same images count once: a job that was killed and run again
    has learnt nothing new.
    """
    text = record.read_bytes() if record.is_file() else b""
    tested = set()
    for number, line in enumerate(text.splitlines(), 1):
        try:
            opening = json.loads(line)
            tested.add((opening["who"], opening["part"], opening["weights"]))
        except (ValueError, KeyError, TypeError):
            # A job that was interrupted while it wrote; it opens the part again.
            log.warning("%s: line %d is damaged; skipped", record, number)
    return Counter(str(who) for who, *_ in tested)


def gather(pool: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return the images at `indices`, read in the order in which they lie on disk."""
    order = np.argsort(indices, kind="stable")
    images = np.empty((len(indices), *pool.shape[1:]), pool.dtype)
    images[order] = pool[indices[order]]
    return images


def append(path: Path, text: str) -> None:
    """Append in one write, so that lines of jobs running at once do not mix.

    Half a line that a full disk left is ended first.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+", buffering=0) as file:
            if size := file.seek(0, os.SEEK_END):
                file.seek(size - 1)
                text = text if file.read(1) == b"\n" else "\n" + text
            data = text.encode()
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def save(path: Path, **arrays: np.ndarray) -> None:
    """Write an npz file, atomically; equal arrays give equal bytes."""
    with atomic_write(path, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_npz(path: Path, *names: str) -> dict[str, np.ndarray]:
    """Return the arrays of that name from an npz file, or all."""
    try:
        with np.load(path) as file:
            return {name: file[name] for name in names or file.files}
    except Exception as error:  # numpy, zipfile and zlib each raise their own
        without = f", or without {', '.join(names)}" if names else ""
        raise LabmillError(
            f"{path}: damaged{without} ({error}); delete it and run the same command "
            "again"
        ) from None


# --- arrays of a dataset ---------------------------------------------------------------


class HashingWriter:
    """A file that hashes what is written to it.

    It is no real file to NumPy, which then writes in blocks: a full disk is an OSError
    with its number.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self.file.write(data)


def save_array(path: Path, array: np.ndarray) -> str:
    """Write an npy file, atomically; return its SHA-256."""
    with atomic_write(path, "wb") as file:
        writer: Any = HashingWriter(file)
        np.lib.format.write_array(writer, np.ascontiguousarray(array))
    digest: str = writer.sha256.hexdigest()
    note_verified(path, digest)
    return digest


def load_array(path: Path, card: Card) -> np.ndarray:
    """Map an array of a dataset, after comparing it with the digest in the card.

    The content is read if the file's size, times or inode are not those of the last
    verification, as noted next to it; else not.
    """
    expected = card.arrays.get(path.name)
    try:
        if expected is not None and not is_verified(path, expected):
            if (found := file_digest(path)) != expected:
                raise ValueError(f"sha256 {found}, card.json has {expected}")
            note_verified(path, expected)
        array: np.ndarray = np.load(path, mmap_mode="r")
        return array
    except (OSError, EOFError, ValueError) as error:
        raise LabmillError(
            f"{path}: damaged or missing ({error}); delete {path.parent} and run the "
            "same command again"
        ) from None


def is_verified(path: Path, digest: str) -> bool:
    """Return True if the file is unchanged since it was found to have this digest."""
    with contextlib.suppress(OSError, ValueError):
        return bool(read_json(note_of(path)) == [digest, *identity(path)])
    return False


def note_verified(path: Path, digest: str) -> None:
    """Note that the file has this digest; do nothing where notes cannot be written.

    Half a note counts as none.
    """
    with contextlib.suppress(OSError):
        note_of(path).write_text(json.dumps([digest, *identity(path)]))


def note_of(path: Path) -> Path:
    """Return the file that notes when an array was last verified."""
    return path.with_name(f".{path.name}.verified")


def identity(path: Path) -> tuple[int, ...]:
    """Return numbers that change when the content of a file may have changed."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
