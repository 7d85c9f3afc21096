"""What a report reads besides the runs: claims, split and dataset."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from labmill.core import registry
from labmill.core.files import read_json
from labmill.data.arrays import read_npz
from labmill.report.image_pool import Pool

Record = dict[str, Any]


@dataclass(frozen=True)
class ReportFiles:
    """What a report reads besides the runs.

    Attributes:
        index, claims: index.json and claims.json of `summarize`.
        split, split_npz: what the split contains, and its indices.
        card, images, labels: the dataset's.
        pictures: the folder of the author's pictures, as `report.pictures` reads it.
    """

    index: Path
    claims: Path
    split: Path
    card: Path
    images: Path
    labels: Path
    split_npz: Path
    pictures: Path = Path()

    @classmethod
    def below(cls, results: Path, data: Path, pictures: Path) -> Self:
        """Return the files of a results folder and of the dataset in `data`."""
        return cls(
            index=results / "index.json",
            claims=results / "claims.json",
            split=results / "split.json",
            card=data / "card.json",
            images=data / "images.npy",
            labels=data / "labels.npy",
            split_npz=results / "split.npz",
            pictures=pictures,
        )


class ReportInputs:
    """The contents of a report's files, opened when first asked for."""

    study: Mapping[str, Any]
    files: ReportFiles | None
    job: Mapping[str, Any]

    @property
    def inputs(self) -> ReportFiles:
        """The report's files; they are missing while claims are made."""
        assert self.files is not None, "claims are made from the runs alone"
        return self.files

    @cached_property
    def statements(self) -> list[Record]:
        """The claims."""
        return read_json(self.inputs.claims)

    @cached_property
    def numbered(self) -> list[Record]:
        """The claims, each with the number that the document gives it."""
        return [
            claim | {"number": number, "statement_number": f"C{number}"}
            for number, claim in enumerate(self.statements, 1)
        ]

    @property
    def slurm(self) -> str:
        """A training job as lines of a batch script, for a cluster."""
        return self.job["settings"].get("slurm", "")

    @cached_property
    def facts(self) -> Record:
        """split.json."""
        return read_json(self.inputs.split)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Part of the split → number of images, empty parts left out."""
        sizes = {
            part: sum(found.values() if isinstance(found, dict) else found)
            for part, found in self.facts["counts"].items()
        }
        return {part: n for part, n in sizes.items() if n}

    @cached_property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the new labels."""
        return [str(name) for name in self.facts["classes"]]

    @cached_property
    def dataset(self) -> Record:
        """card.json."""
        return read_json(self.inputs.card)

    @cached_property
    def pool(self) -> Pool:
        """All images, uint8 (N, channels, height, width)."""
        return Pool(self.inputs.images)

    @cached_property
    def parts(self) -> dict[str, np.ndarray]:
        """split.npz: indices by part, and the labels that may be seen."""
        return read_npz(self.inputs.split_npz)

    @property
    def sequential(self) -> bool:
        """Whether the data are sequences of tokens, kept as grey values."""
        dataset = self.study["data"]["dataset"]
        return registry.constant("data/datasets", dataset, "KIND") == "sequence"

    @property
    def thing(self) -> str:
        """The noun for one sample."""
        return "sequence" if self.sequential else "image"

    @property
    def things(self) -> str:
        """The noun for samples."""
        return f"{self.thing}s"
