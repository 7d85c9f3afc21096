"""Trained networks as files: weights in safetensors, what to build in model.json.

Loading runs no code from the files, and they are always written whole.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from labmill.core import registry
from labmill.core.errors import LabmillError
from labmill.core.files import atomic_write
from labmill.models.foreign import SHAPES, cut_to, note_shapes
from labmill.training.records import ModelDescription


def load(weights: Path, description: Path) -> nn.Module:
    """Build the network of a model.json and fill it with its weights."""
    about = ModelDescription.read(description)
    about.check(weights)
    model = build(about.name, **about.shape, **about.arguments)
    fill(model, read_tensors(weights), weights)
    return model


def build(name: str, **arguments: Any) -> nn.Module:
    """Build a registered model with its name as `family`, by which training chooses.

    A pruned network without a method `arguments` is cut to the shapes it had.
    """
    wanted = arguments.pop(SHAPES, {})
    model: Any = registry.build(name, **arguments)
    if not hasattr(model, "arguments"):
        note_shapes(model)
        cut_to(model, wanted)
    model.family = name
    built: nn.Module = model
    return built


def fill(model: nn.Module, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Copy tensors into the model."""
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise LabmillError(f"{source}: weights of another model: {error}") from None


def write_tensors(
    tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None
) -> None:
    """Write tensors atomically; those that share memory are written once each."""
    separate = {
        name: tensor.detach().to(
            "cpu", copy=True, memory_format=torch.contiguous_format
        )
        for name, tensor in tensors.items()
    }
    with atomic_write(path, "wb") as file:
        file.write(safetensors.torch.save(separate, metadata))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file, on the CPU."""
    return read_with_metadata(path)[0]


def read_with_metadata(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file and its metadata."""
    try:
        with safetensors.safe_open(str(path), "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (OSError, safetensors.SafetensorError, json.JSONDecodeError) as error:
        raise LabmillError(f"{path}: cannot be read: {error}") from None


def share(source: Path, target: Path) -> None:
    """Put the file `source` at `target` too: a hard link where that is possible."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        temporary.hardlink_to(source)
        temporary.replace(target)
    except OSError:
        with atomic_write(target, "wb") as file:
            file.write(source.read_bytes())
    finally:
        temporary.unlink(missing_ok=True)
