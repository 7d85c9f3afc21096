"""Records of a training's files: model.json, history.csv, batches.csv."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from labmill.core.errors import LabmillError
from labmill.core.files import file_digest
from labmill.core.records import ANEW, Provenance, Record, Settings, read_rows

Status = Literal[
    "completed", "converged", "reached_target", "stopped_early", "diverged", "paused"
]


class EpochRow(Record):
    """One row of history.csv; the validation columns are empty where none was made."""

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float  # of the epoch's last step
    seconds: float  # of training, since the run began
    images_per_second: float
    operations: int  # multiply-adds of training, since the run began
    peak_memory_mb: float


class BatchRow(Record):
    """One row of batches.csv: a step's loss; `step` within the epoch, both from 1."""

    epoch: int
    step: int
    images: int
    loss: float
    accuracy: float


class RunFacts(Record):
    """How a training ran."""

    epochs: int
    seconds: float  # the median epoch's times the epochs; `wall_seconds`: of everything
    wall_seconds: float
    device: str
    threads: int
    precision: Literal["fp32", "bf16"]
    compile: Literal["off", "step"]
    resumed_at: list[list[int]]  # epoch and step of each restart after an interruption


class TrainingRecord(RunFacts):
    """How a network was trained, and its size.

    Attributes:
        macs: multiply-adds of one image; only of pruned networks and their controls.
    """

    status: Status
    parameters: int
    macs: int | None = None


class FinishedRun(Record):
    """done.json: the result of a training."""

    status: Status
    history: list[EpochRow]
    batches: list[BatchRow]
    facts: RunFacts
    digest: str  # SHA-256 of the weights
    sha256: str | None = None  # of the other fields


class ModelDescription(Record):
    """model.json: what to build, and how its weights were trained.

    Attributes:
        arguments: of the model's `build`; of a pruned network, its present widths.
        digests: SHA-256 of the files that were written with it, by name.
    """

    name: str
    arguments: Settings
    num_classes: int
    image_size: int
    in_channels: int
    training: TrainingRecord
    digests: dict[str, str] = Field(default_factory=dict)
    provenance: Provenance

    @property
    def shape(self) -> dict[str, int]:
        """The arguments that every model's `build` takes."""
        return {
            "num_classes": self.num_classes,
            "image_size": self.image_size,
            "in_channels": self.in_channels,
        }

    def check(self, path: Path) -> None:
        """Compare a file that was written with this one with its digest."""
        expected = self.digests.get(path.name)
        try:
            found = file_digest(path)
        except OSError as error:
            raise LabmillError(f"{path}: cannot be read: {error.strerror}") from None
        if expected not in (None, found):
            raise LabmillError(
                f"{path}: damaged or of another run: its SHA-256 is not the one in "
                f"model.json\n{ANEW}"
            )

    def history(self, path: Path) -> list[EpochRow]:
        """Read and check the history.csv of this run."""
        self.check(path)
        return read_rows(EpochRow, path)
