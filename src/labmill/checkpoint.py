"""Trained networks as files: weights in safetensors, what to build in JSON.

Loading cannot run code, and neither file is ever seen half written.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from labmill import registry
from labmill.errors import LabmillError
from labmill.runtime import atomic_write, read_json, write_json

# What every `build` takes, beside the arguments of the model's own.
SHAPE = ("num_classes", "image_size", "in_channels")


def save(
    model: nn.Module,
    spec: Mapping[str, Any],
    weights: Path,
    description: Path,
    provenance: Mapping[str, Any],
    *,
    link: Path | None = None,
) -> None:
    """Write `model` so that `load` can build it again; the weights last.

    spec: `name` in the registry, `arguments`, `num_classes`, `image_size`,
    `in_channels`, and what else the description should say. A model with a method
    `arguments` is asked for those it has now, which pruning changes. `link`: a file of
    the same weights, which is linked (or copied) instead of writing them again.
    """
    record = dict(spec)
    if hasattr(model, "arguments"):
        present = dict(model.arguments())
        record |= {key: present.pop(key) for key in SHAPE if key in present}
        record["arguments"] = present
    write_json(description, {**record, "provenance": dict(provenance)})
    if link is None:
        write_tensors(model.state_dict(), weights)
    else:
        share(link, weights)


def load(weights: Path, description: Path) -> nn.Module:
    """Build the model that `description` names and fill it with `weights`.

    Raises LabmillError when a file is missing, damaged, or belongs to another model.
    """
    try:
        record = read_json(description)
        shape = {key: record[key] for key in SHAPE}
        name, arguments = record["name"], record["arguments"]
    except (OSError, ValueError, KeyError) as error:
        raise LabmillError(f"{description}: not a model description: {error}") from None
    model = build(name, **shape, **arguments)
    fill(model, read_tensors(weights), weights)
    return model


def build(name: str, **arguments: Any) -> nn.Module:
    """A registered model that knows its `family`, by which training chooses."""
    model = registry.build(name, **arguments)
    model.family = name
    return model


def fill(model: nn.Module, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Copy `tensors` into the model; LabmillError when they are not exactly its own."""
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise LabmillError(f"{source}: weights of another model: {error}") from None


def write_tensors(
    tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None
) -> None:
    """Write tensors atomically; those that share memory are written once each."""
    apart = {
        name: tensor.detach().to(
            "cpu", copy=True, memory_format=torch.contiguous_format
        )
        for name, tensor in tensors.items()
    }
    with atomic_write(path, "wb") as file:
        file.write(safetensors.torch.save(apart, metadata))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, on the CPU. LabmillError when it is damaged."""
    return read_with_metadata(path)[0]


def read_with_metadata(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file and its metadata. LabmillError when it is damaged."""
    try:
        with safetensors.safe_open(str(path), "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (OSError, safetensors.SafetensorError, json.JSONDecodeError) as error:
        raise LabmillError(f"{path}: cannot be read: {error}") from None


def share(source: Path, target: Path) -> None:
    """Put the file `source` at `target` too: a hard link where that is possible."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.")
    temporary = Path(folder) / "link.part"
    try:
        try:
            temporary.hardlink_to(source)
        except OSError:
            with atomic_write(temporary, "wb") as file:
                file.write(source.read_bytes())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
        Path(folder).rmdir()
