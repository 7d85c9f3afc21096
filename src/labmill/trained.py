"""A trained network by its files: what every stage after training begins with."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from labmill import checkpoint
from labmill.data.arrays import TrainingData
from labmill.data.augment import normaliser
from labmill.runtime import read_json


@dataclass(frozen=True)
class Trained:
    """A network's weights and description, and the images that it was trained on.

    images, card: the dataset's pool and card; split: the study's split.npz, which knows
    of no test image; model, description: model.safetensors and model.json.
    """

    images: Path
    card: Path
    split: Path
    model: Path
    description: Path

    @classmethod
    def of(cls, files: Any) -> "Trained":
        """From a rule's inputs, which have these names."""
        return cls(**{f.name: Path(getattr(files, f.name)) for f in fields(cls)})

    def facts(self) -> dict[str, Any]:
        """What model.json says: name, arguments, shape, how it was trained."""
        return read_json(self.description)

    def network(self) -> nn.Module:
        """The network, on the CPU. Raises LabmillError for a damaged file."""
        return checkpoint.load(self.model, self.description)

    def data(self) -> TrainingData:
        """Training, validation and unlabelled images."""
        return TrainingData.open(self.images, self.split)

    def normaliser(self, how: str | Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Mean and deviation, float32 (1, C, 1, 1), for images scaled to 0..1."""
        return normaliser(read_json(self.card), how)
