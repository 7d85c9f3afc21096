"""From a study file to a checked `Study`: shape first (pydantic), then meaning.

Every error names file and line, key path, what was found and what is allowed.
"""

import builtins
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from labmill.errors import LabmillError, suggest
from labmill.reading import Path_, Source, merged
from labmill.study import Model, Section, Study, Training, flat_model

SCALES = ("full", "laptop", "smoke")
T = TypeVar("T", bound=BaseModel)

# Pydantic's words for JSON types, in YAML's.
WORDS = {
    "a valid array": "a list",
    "a valid tuple": "a list",
    "a valid list": "a list",
    "an object": "a mapping",
    "a valid dictionary": "a mapping",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "text",
    "a valid boolean": "true or false",
}

# Every study, shrunk to seconds: few images, one short pass, one seed.
SMOKE: dict[str, Any] = {
    "data": {"limit": 200, "test_limit": 100},
    "defaults": {"training": {"epochs": 1}},
    "measure": {"batches": [1], "repeats": 3},
}


def load_study(path: str | Path, scale: str = "full") -> tuple[Study, Source]:
    """Read and validate one study file at a scale.

    Raises:
        LabmillError: with one message about everything that is wrong with its shape.
    """
    if scale not in SCALES:
        raise LabmillError(f"scale: found {scale!r}; {suggest(scale, SCALES)}")
    source = Source(path)
    data = at_scale(source.data, scale)
    if scale != "full":
        source.overlay = scale
        check_overlay(source)
    return validate(Study, data, source, ()), source


def at_scale(data: dict[str, Any], scale: str) -> dict[str, Any]:
    """The study's mapping with the overlays of a scale laid over it."""
    overlays: dict[str, Any] = {}
    if scale == "laptop":
        overlays = data.get("laptop") or {}
    elif scale == "smoke":
        overlays = merged(merged(SMOKE, smoke_cuts(data)), data.get("smoke") or {})
    return merged(data, overlays) if isinstance(overlays, dict) else data


def check_overlay(source: Source) -> None:
    """An overlay changes what the study defines; a new name would be a misspelt one."""
    overlay = source.data.get(source.overlay)
    for table in ("variants", "pretexts", "search", "pruning"):
        changed = overlay.get(table) if isinstance(overlay, dict) else None
        defined = source.data.get(table) or {}
        for name in changed if isinstance(changed, dict) else ():
            if name not in defined:
                where = source.where((source.overlay, table, name))
                raise LabmillError(
                    f"{where}: the study defines nothing of that name; "
                    f"{suggest(name, defined)}"
                )


def smoke_cuts(data: dict[str, Any]) -> dict[str, Any]:
    """What only the study itself can tell how to shrink: lists, and its own numbers."""
    cuts: dict[str, Any] = {}
    seeds = data.get("seeds")
    cuts["seeds"] = seeds[:1] if isinstance(seeds, list) else [0]
    if isinstance(data.get("defaults"), dict):
        cuts["defaults"] = {"training": small(data["defaults"])}
    for part, cut in (
        ("variants", lambda entry: {"training": small(entry)}),
        ("pretexts", lambda entry: {"training": small(entry)}),
        ("pruning", lambda entry: {"steps": 2, "finetune": {"epochs": 1}}),
        ("search", search_cut),
    ):
        entries = data.get(part)
        if isinstance(entries, dict):
            cuts[part] = {
                name: cut(entry) | ({"seeds": [0]} if "seeds" in entry else {})
                for name, entry in entries.items()
                if isinstance(entry, dict)
            }
    if data.get("examine"):
        cuts["examine"] = {"images": 2, "distance_images": 20, "probe_images": 100}
    if data.get("represent"):
        cuts["represent"] = {"images": 50, "queries": 3, "neighbours": 4}
    if data.get("edits"):
        cuts["edits"] = {"trials": 1, "epochs": 1, "confirm": 1}
    return cuts


def small(entry: dict[str, Any]) -> dict[str, Any]:
    """One epoch without warm-up, where a delta says how long it trains."""
    training = entry.get("training")
    if not isinstance(training, dict):
        return {}
    cut: dict[str, Any] = {"epochs": 1} if "epochs" in training else {}
    if isinstance(training.get("until"), dict):
        cut["until"] = {"max_epochs": 1}
    if isinstance(training.get("schedule"), dict):
        cut["schedule"] = {"warmup_epochs": 0}
    return cut


def search_cut(entry: dict[str, Any]) -> dict[str, Any]:
    """Two values of the first setting and one of every other."""
    matrix = entry.get("matrix")
    cut: dict[str, Any] = {"training": small(entry), "seeds": [0]}
    if isinstance(matrix, dict):
        cut["matrix"] = {
            key: values[: 2 if index == 0 else 1]
            for index, (key, values) in enumerate(matrix.items())
            if isinstance(values, list)
        }
    return cut


def validate(
    kind: type[T], data: Any, source: Source, at: Path_, *fallback: Path_
) -> T:
    """`data` as a `kind`, or one LabmillError with a line per mistake.

    `at` is the key path of `data` in the file; `fallback` are other places that a value
    may have come from (a variant's settings come from `defaults` too).
    """
    try:
        return kind.model_validate_json(json.dumps(data, allow_nan=False))
    except ValidationError as error:
        lines = []
        for location, message in mistakes(kind, data, error):
            where = source.where(*[(*place, *location) for place in (at, *fallback)])
            lines.append(f"{where}: {message}")
        raise LabmillError("\n".join(lines)) from None


def mistakes(
    kind: type[BaseModel], data: Any, error: ValidationError
) -> Iterator[tuple[Path_, str]]:
    """What is wrong with `data` as a `kind`: key paths below `data`, and sentences."""
    said: dict[Path_, list[str]] = {}
    for item in error.errors():
        location = real_location(data, item["loc"], item["type"])
        said.setdefault(location, []).append(explain(kind, location, item))
    for location, messages in said.items():
        # A list that has a wrong entry is also said to be too short, and a value that
        # one of several types takes apart is none of the others.
        if not any(other[: len(location)] == location != other for other in said):
            yield location, either(messages)


def either(messages: Sequence[str]) -> str:
    """What several allowed types say of one value, in one sentence."""
    first, *others = dict.fromkeys(messages)
    return " or ".join(
        [first, *(text.partition("; expected ")[2] or text for text in others)]
    )


def real_location(data: Any, location: Path_, kind: str) -> Path_:
    """A pydantic location without the union members that it names in between."""
    found: list[str | int] = []
    for index, part in enumerate(location):
        if (isinstance(data, Mapping) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        ):
            data = data[part]
        elif kind == "missing" and index == len(location) - 1:
            pass
        else:
            continue
        found.append(part)
    return tuple(found)


def explain(kind: type[BaseModel], location: Path_, item: Any) -> str:
    """One pydantic error as: what was found, what is allowed."""
    match item["type"]:
        case "extra_forbidden":
            parent = section_at(kind, location[:-1])
            allowed = parent.model_fields if parent else ()
            return f"unknown key; {suggest(location[-1], allowed)}"
        case "missing":
            return "missing; this key is required"
        case "literal_error":
            allowed = item["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
            return f"found {item['input']!r}; {suggest(item['input'], allowed.split(', '))}"
        case "string_pattern_mismatch":
            return (
                f"found {item['input']!r}; names are lower-case letters, digits and _, "
                "beginning with a letter"
            )
        case "too_short" | "string_too_short":
            return "found nothing; at least one entry is needed"
        case "value_error":
            return str(item["ctx"]["error"])
    found = item["input"]
    section = section_at(kind, location)
    if section and item["type"].startswith("model"):
        return (
            f"found {found!r} ({type_name(found)}); expected {keys_of(section, found)}"
        )
    message = item["msg"].removeprefix("Input should be ")
    message = WORDS.get(message, message)
    return f"found {found!r} ({type_name(found)}); expected {message}"


def type_name(value: Any) -> str:
    """A value's type in YAML's words."""
    names = {bool: "true/false", int: "whole number", float: "number", str: "text"}
    names |= {list: "list", dict: "mapping", type(None): "nothing"}
    return names.get(type(value), type(value).__name__)


def section_at(kind: type[BaseModel], location: Path_) -> type[BaseModel] | None:
    """The section class at a key path of the schema, or None."""
    types: list[Any] = [kind]
    for part in location:
        types = [inner for one in types for inner in types_below(one, part)]
    return next((one for one in types if is_section(one)), None)


def types_below(annotation: Any, part: str | int) -> list[Any]:
    """The types that a key or index of a value of some type may have."""
    if is_section(annotation):
        field = annotation.model_fields.get(str(part))
        return alternatives(field.annotation) if field else []
    inside = get_args(annotation)
    match get_origin(annotation):
        case builtins.dict:
            return alternatives(inside[1])
        case builtins.tuple:
            return alternatives(inside[0])
    return []


def alternatives(annotation: Any) -> list[Any]:
    """The types that a union or an annotated type stands for."""
    if get_origin(annotation) is Annotated:
        return alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [inner for one in get_args(annotation) for inner in alternatives(one)]
    return [annotation]


def is_section(annotation: Any) -> bool:
    """Whether a type is a section of the schema."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def keys_of(section: type[BaseModel], found: Any) -> str:
    """What to write for a section: its keys, or `found` under the key that it fits."""
    for name, field in section.model_fields.items():
        if isinstance(found, str) and found in get_args(field.annotation):
            return f"a mapping: {{{name}: {found}}}"
    return f"a mapping with the keys: {', '.join(section.model_fields)}"


def resolve_model(
    base: Model, delta: dict[str, Any], source: Source, at: Path_
) -> Model:
    """A variant's model: `delta` over `base`; another name drops base's arguments."""
    start = {"name": base.name, **base.arguments}
    if "arguments" in delta:
        delta = {
            **delta.get("arguments", {}),
            **{k: v for k, v in delta.items() if k == "name"},
        }
    changed = delta.get("name", base.name) != base.name
    flat = merged({} if changed else start, delta)
    return validate(Model, flat_model(flat), source, at, ("defaults", "model"))


def resolve_training(
    base: Training, delta: dict[str, Any], source: Source, at: Path_
) -> Training:
    """A variant's recipe: `delta` merged over `base`."""
    data = merged(base.model_dump(mode="json"), delta)
    return validate(Training, data, source, at, ("defaults", "training"))


def check_type(annotation: str, value: Any) -> str | None:
    """Why `value` does not fit a signature's annotation, or None if it does."""
    from typing import Literal

    scope = {"Literal": Literal, "Any": Any}
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(eval(annotation, scope))
    except NameError:
        return None
    try:
        adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        item = error.errors()[0]
        return explain(Section, (), item | {"input": value})
    return None
