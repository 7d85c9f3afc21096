"""From a study file to a checked `Study`: its shape (pydantic) first, then its meaning.

Every message names file and line, key path, what was found and what is allowed.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from labmill.core.errors import LabmillError, suggest
from labmill.core.trees import Settings, merge, nest
from labmill.study.check_training import NAMED, check_training
from labmill.study.error_messages import mistakes
from labmill.study.matrix import expand_matrix
from labmill.study.scales import SCALES, at_scale, check_overlay
from labmill.study.schema import Model, Study, Training, flat_model
from labmill.study.yaml_source import Path_, YamlSource

T = TypeVar("T", bound=BaseModel)
# A message has so many lines; further mistakes are counted.
MOST_LINES = 3


def load_study(
    path: str | Path, scale: str = "full", changes: Mapping[str, Any] | None = None
) -> tuple[Study, YamlSource]:
    """Read and validate one study file at a scale.

    `changes`: dotted keys of the study → values that outweigh the file and the scale;
    `training.epochs` and `model.dim` mean those of `defaults`.
    """
    if scale not in SCALES:
        raise LabmillError(f"scale: found {scale!r}; {suggest(scale, SCALES)}")
    source = YamlSource(path)
    source.data = expand_matrix(source, scale)
    data = at_scale(source.data, scale)
    if scale != "full":
        check_overlay(source, scale)
    for key in changes or ():
        if (first := key.partition(".")[0]) in SCALES:
            raise LabmillError(
                f"--set {key}: found a key of the scale {first}; changes outweigh every "
                f"scale: write {key.removeprefix(f'{first}.')}"
            )
    changed = {
        f"defaults.{key}" if key.split(".")[0] in ("training", "model") else key: value
        for key, value in (changes or {}).items()
    }
    return validate(Study, merge(data, nest(changed)), source, ()), source


def validate(
    kind: type[T], data: Any, source: YamlSource, at: Path_, *fallback: Path_
) -> T:
    """Return `data` as a `kind`, or raise one LabmillError.

    `fallback`: other places that a value may come from (a variant's settings come from
    `defaults` too).
    """
    try:
        return kind.model_validate_json(json.dumps(data, allow_nan=False))
    except ValidationError as error:
        lines = []
        for location, message in mistakes(kind, data, error):
            where = source.where(*[(*place, *location) for place in (at, *fallback)])
            lines.append(f"{where}: {message}")
        more = len(lines) - MOST_LINES
        if more > 0:
            lines = lines[:MOST_LINES]
            lines[-1] += f" (and {more} more mistakes)"
        raise LabmillError("\n".join(lines)) from None


def resolve_model(base: Model, delta: Settings, source: YamlSource, at: Path_) -> Model:
    """Return a variant's model: `delta` over `base`; a new name drops the arguments."""
    if isinstance(arguments := delta.get("arguments"), dict):
        named = {key: value for key, value in delta.items() if key == "name"}
        delta = {**arguments, **named}
    start: Settings = {}
    if str(delta.get("name", base.name)).partition("/")[0] == base.name:
        start = {"name": base.name, **base.arguments}
    flat = flat_model(merge(start, delta))
    return validate(Model, flat, source, at, ("defaults", "model"))


def resolve_training(
    base: Training, delta: Settings, source: YamlSource, at: Path_
) -> Training:
    """Return a variant's training: `delta` merged over `base`.

    Another optimizer or loss drops the arguments of the one before.
    """
    before = base.model_dump(mode="json")
    for key in NAMED:
        if delta.get(key, before[key]) != before[key]:
            before[f"{key}_arguments"] = {}
    places = at, ("defaults", "training")
    training = validate(Training, merge(before, delta), source, *places)
    check_training(training, source, *places)
    return training
