"""The files of one trained network, written together."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from labmill.core.csv_tables import write_table
from labmill.core.files import file_digest
from labmill.core.records import Provenance, Record, Settings
from labmill.models.foreign import arguments_of
from labmill.training import checkpoint
from labmill.training.records import (
    BatchRow,
    EpochRow,
    ModelDescription,
    TrainingRecord,
)
from labmill.training.run_state import Outcome


@dataclass(frozen=True)
class RunFiles:
    """Paths of the run's files; `state` is of a paused run alone."""

    model: Path
    description: Path
    history: Path
    batches: Path | None = None
    state: Path | None = None

    @classmethod
    def from_outputs(cls, outputs: Any) -> Self:
        """Take the paths from a rule's outputs, which have these names."""
        made = {f.name: outputs.get(f.name) for f in fields(cls)}
        return cls(**{name: Path(path) for name, path in made.items() if path})

    def write(
        self,
        network: Any,
        outcome: Outcome,
        *,
        name: str,
        arguments: Settings,
        shape: Mapping[str, int],
        provenance: Provenance,
        macs: int | None = None,
    ) -> None:
        """Write a trained network, model.json last: it has the others' digests.

        The network's method `arguments`, if it has one, has precedence over
        `arguments`, since pruning changes widths.
        """
        table(self.history, EpochRow, outcome.history)
        if self.batches is not None:
            table(self.batches, BatchRow, outcome.batches)
        present = arguments_of(network)
        if present:
            shape = {key: present.pop(key, value) for key, value in shape.items()}
        training = TrainingRecord(
            **outcome.facts.model_dump(),
            status=outcome.status,
            parameters=sum(p.numel() for p in network.parameters()),
            **({} if macs is None else {"macs": macs}),
        )
        if outcome.weights is None:
            checkpoint.write_tensors(network.state_dict(), self.model)
        else:
            checkpoint.share(outcome.weights, self.model)
        if self.state is not None and outcome.state is not None:
            checkpoint.share(outcome.state, self.state)
        written = (self.model, self.history, self.batches)
        ModelDescription(
            name=name,
            arguments=present or arguments,
            **shape,
            training=training,
            digests={path.name: file_digest(path) for path in written if path},
            provenance=provenance,
        ).write(self.description)

    def copy(self, description: Path, provenance: Provenance) -> None:
        """Write the files of the run with that model.json as those of another job."""
        found = ModelDescription.read(description)
        for path in (self.model, self.history, self.batches):
            if path:
                found.check(description.with_name(path.name))
                checkpoint.share(description.with_name(path.name), path)
        found.model_copy(update={"provenance": provenance}).write(self.description)


def table(path: Path, kind: type[Record], rows: list[Any]) -> None:
    write_table(path, kind.model_fields, [row.model_dump() for row in rows])
