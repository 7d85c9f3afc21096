"""Decoded arrays, memory-mapped, behind the seal of the test set.

Training, search and pruning use `TrainingData`, which knows of no test part. Evaluation
uses `open_test`, which leaves a line in the record each time.
"""

import json
import os
import time
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

import numpy as np

from labmill.errors import LabmillError, suggest
from labmill.runtime import atomic_write, writing

PARTS = ("train", "validation", "unlabelled")


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
    """The parts of a split that training may see. The pool itself is not exposed."""

    def __init__(
        self, pool: np.ndarray, labels: np.ndarray, indices: dict[str, np.ndarray]
    ) -> None:
        self._pool = pool
        self._labels = labels
        self._indices = indices

    @classmethod
    def open(cls, images: Path, split: Path) -> "TrainingData":
        """Map the pool and read the split. Raises LabmillError for another file."""
        with np.load(split) as file:
            if missing := {*PARTS, "labels"} - set(file.files):
                raise LabmillError(
                    f"{split}: lacks {', '.join(sorted(missing))}; expected the "
                    "split.npz of a study"
                )
            indices = {part: file[part] for part in PARTS}
            labels = file["labels"]
        return cls(np.load(images, mmap_mode="r"), labels, indices)

    def part(
        self,
        name: Literal["train", "validation", "unlabelled"],
        count: int | None = None,
    ) -> Part:
        """A copy of one part, of its first `count` images where that is given.

        Prefixes of `train` are balanced over the classes: label budgets. Raises
        LabmillError for an unknown part, the test part included, or too large a count.
        """
        if name not in PARTS:
            raise LabmillError(f"split part: found {name!r}; {suggest(name, PARTS)}")
        indices = self._indices[name]
        if count is not None and not 0 <= count <= len(indices):
            raise LabmillError(
                f"split part {name}: {count} images asked for, it has {len(indices)}"
            )
        indices = indices[:count]
        return Part(gather(self._pool, indices), self._labels[indices], indices)

    def size(self, name: Literal["train", "validation", "unlabelled"]) -> int:
        """How many images a part has."""
        return len(self._indices[name])


def open_test(
    images: Path, split: Path, test: Path, *, record: Path, who: str, weights: Path
) -> Part:
    """Open the sealed test part, and say so: one JSON line appended to `record`.

    who: what opens it, such as `<variant>/seed<k>/<stage>`; weights: the network that is
    to be tested. The line bears digests of these and of the part, so that the same
    question asked again is told from another. Raises LabmillError when `test` does not
    belong to `split`.
    """
    with np.load(test) as file:
        indices, labels = file["test"], file["labels"]
    with np.load(split) as file:
        overlap = sum(np.isin(indices, file[part]).sum() for part in PARTS)
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
    return Part(gather(np.load(images, mmap_mode="r"), indices), labels, indices)


def openings(record: Path) -> Counter[str]:
    """For how many networks each `who` has opened the test part.

    The same weights on the same images count once, however often: a job that was killed
    and run again has learnt nothing new.
    """
    text = record.read_text(encoding="utf-8") if record.is_file() else ""
    lines = map(json.loads, text.splitlines())
    tested = {tuple(map(line.get, ("who", "part", "weights"))) for line in lines}
    return Counter(who for who, *_ in tested)


def gather(pool: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """The images at `indices`, read in the order in which they lie on disk."""
    order = np.argsort(indices, kind="stable")
    images = np.empty((len(indices), *pool.shape[1:]), pool.dtype)
    images[order] = pool[indices[order]]
    return images


def append(path: Path, text: str) -> None:
    """Append in one write, so that lines of jobs running at once do not mix."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def save(path: Path, **arrays: np.ndarray) -> None:
    """Write an npz file, atomically; equal arrays give equal bytes."""
    with atomic_write(path, "wb") as file:
        np.savez(file, **arrays)
