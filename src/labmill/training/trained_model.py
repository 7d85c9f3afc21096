"""A trained network and its images, by their files; used by every stage after training."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import nn

from labmill.data.arrays import TrainingData
from labmill.training import checkpoint
from labmill.training.inputs import DatasetFiles
from labmill.training.network import channels_last
from labmill.training.records import ModelDescription


@dataclass(frozen=True)
class TrainedModel(DatasetFiles):
    """A network's files, and those of the images that it was trained on."""

    model: Path  # model.safetensors; `description` its model.json
    description: Path

    @cached_property
    def about(self) -> ModelDescription:
        """Return the checked content of model.json."""
        return ModelDescription.read(self.description)

    @property
    def channels_last(self) -> bool:
        """Return True if the network wants images as (height, width, channel)."""
        return channels_last(self.about.name)

    def network(self) -> nn.Module:
        """Build the network and load its weights, on the CPU."""
        return checkpoint.load(self.model, self.description)

    def data(self) -> TrainingData:
        """Open training, validation and unlabelled images."""
        return TrainingData.open(self.images, self.split, self.card)
