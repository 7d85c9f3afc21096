"""Records of jobs for tests that call a job's function."""

from pathlib import Path
from typing import Any

from torch import nn

from labmill.core.records import Provenance
from labmill.training.records import RunFacts
from labmill.training.run_files import RunFiles
from labmill.training.run_state import Outcome

FACTS = RunFacts(
    epochs=0,
    seconds=0.0,
    wall_seconds=0.0,
    device="cpu",
    threads=1,
    precision="fp32",
    compile="off",
    resumed_at=[],
)


# What every `build` takes, next to the arguments of its own.
SHAPE = ("num_classes", "image_size", "in_channels")


def provenance_of(settings: dict[str, Any], kind: str = "test") -> Provenance:
    """The record of a job with these settings."""
    return Provenance(
        code={},
        consumes={},
        kind=kind,
        settings=settings,
        fingerprint="abc",
        versions={},
        machine={},
        slurm=None,
        date="2026-01-01T00:00:00+00:00",
    )


def run_files(folder: Path, *, batches: bool = False) -> RunFiles:
    """The files of a run, as the rules name them."""
    names = ["model.safetensors", "model.json", "history.csv"]
    return RunFiles(*(folder / name for name in [*names, "batches.csv"][: 3 + batches]))


def save_network(
    model: nn.Module, name: str, folder: Path, arguments: dict[str, Any], **shape: int
) -> tuple[Path, Path]:
    """Write a network as it is, as a finished run; its weights and description."""
    out = run_files(folder)
    out.write(
        model,
        Outcome("completed", [], [], FACTS),
        name=name,
        arguments=arguments,
        shape={"num_classes": 3, "image_size": 32, "in_channels": 3} | shape,
        provenance=provenance_of({}),
    )
    return out.model, out.description
