"""Pydantic's errors as messages: what was found, what is allowed, the nearest match."""

import ast
import builtins
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Optional, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    PydanticSchemaGenerationError,
    TypeAdapter,
    ValidationError,
)

from labmill.core.errors import same_word, shown, suggest
from labmill.core.trees import Settings
from labmill.study.schema import Pretext, Pruning, Search, Section, Training, Variant
from labmill.study.yaml_source import Path_, dotted

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
TYPES = {
    bool: "true/false",
    int: "whole number",
    float: "number",
    str: "text",
    list: "list",
    dict: "mapping",
    type(None): "nothing",
}
# Sections that are written as changes of another one: their keys are its keys.
CHANGES: dict[type[BaseModel], tuple[str, type[BaseModel]]] = {
    Variant: ("training", Training),
    Pretext: ("training", Training),
    Search: ("training", Training),
    Pruning: ("finetune", Training),
}


def mistakes(
    kind: type[BaseModel], data: Any, error: ValidationError
) -> Iterator[tuple[Path_, str]]:
    """Yield what is wrong with `data` as a `kind`: key paths below it, and messages."""
    messages: dict[Path_, list[str]] = {}
    names: dict[str, Path_] = {}
    for item in error.errors():
        location = real_location(data, item["loc"], item["type"])
        found = messages.setdefault(location, [])
        if item["type"] == "string_pattern_mismatch":
            names.setdefault(item["input"], location)
        else:
            found.append(explain(kind, location, item))
    # Wrong names are one mistake, however many there are and however often each is used.
    if names:
        first = next(iter(names))
        messages[names[first]].append(wrong_names([*names]))
    for location, found in messages.items():
        # A list with a wrong entry is also reported as too short, and of a union all
        # types are: only the one whose inside is wrong counts.
        inside = any(other[: len(location)] == location != other for other in messages)
        if found and not inside:
            yield location, either(found)


def either(messages: Sequence[str]) -> str:
    """Return the messages of several allowed types about one value, as one sentence."""
    first, *others = dict.fromkeys(messages)
    return " or ".join(
        [first, *(text.partition("; expected ")[2] or text for text in others)]
    )


def real_location(data: Any, location: Path_, kind: str) -> Path_:
    """Return a pydantic location without the union members that it names."""
    found: list[str | int] = []
    for index, part in enumerate(location):
        key: Any = part
        if (isinstance(data, Mapping) and part in data) or (
            isinstance(part, int) and isinstance(data, list) and part < len(data)
        ):
            data = data[key]
        elif not (kind == "missing" and index == len(location) - 1):
            continue
        found.append(part)
    return tuple(found)


def explain(kind: type[BaseModel], location: Path_, item: Any) -> str:
    """Return one pydantic error as what was found and what is allowed."""
    found = item["input"]
    match item["type"]:
        case "extra_forbidden":
            return unknown_key(kind, location, found)
        case "missing":
            return "missing; this key is required"
        case "literal_error":
            allowed = item["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
            return f"found {shown(found)}; {suggest(found, allowed.split(', '))}"
        case "too_short" | "string_too_short":
            return "found nothing; at least one entry is needed"
        case "too_long":
            most, size = item["ctx"]["max_length"], len(found)
            return f"found {size:,} entries; at most {most:,} are allowed"
        case "value_error":
            return str(item["ctx"]["error"])
    section = section_at(kind, location)
    if section and item["type"].startswith("model"):
        expected = keys_of(section, found)
    else:
        message = item["msg"].removeprefix("Input should be ")
        message = message.replace("less than or equal to", "at most")
        message = message.replace("greater than or equal to", "at least")
        expected = WORDS.get(message, message)
    if expected == "a list" and location[-1:] == ("seeds",) and type(found) is int:
        expected += (
            f"; {found} seeds are {[*range(found)]}" if 0 < found < 11 else ": [0, 1]"
        )
    name = TYPES.get(type(found), type(found).__name__)
    what = "nothing" if found is None else f"{shown(found)} ({name})"
    return f"found {what}; expected {expected}"


def unknown_key(kind: type[BaseModel], location: Path_, found: Any) -> str:
    """Return what to write instead of a key that a section does not have."""
    *above, key = map(str, location)
    section = section_at(kind, location[:-1])
    fields = section.model_fields if section else {}
    if found is None and " " in key:
        return "unknown key; text with a comma inside {…} needs quotation marks"
    if section and not same_word(key, fields):
        below = [(*above, *path) for path in paths_to(section, key)]
        found_at = below or [*paths_to(kind, key)]
        # `epochs` at the top is more likely a default than of a search for edits.
        for path in sorted(found_at, key=lambda path: path[0] != "defaults")[:1]:
            return f"unknown key; did you mean {dotted(path)}?"
    return f"unknown key; {suggest(key, fields)}"


def paths_to(section: type[BaseModel], key: str) -> Iterator[tuple[str, ...]]:
    """Yield the key paths below a section at which a key is known, nearest first."""
    pending: list[tuple[tuple[str, ...], type[BaseModel]]] = [((), section)]
    while pending:
        path, one = pending.pop(0)
        inside = {
            name: inner
            for name, field in one.model_fields.items()
            for inner in alternatives(field.annotation)
            if is_section(inner)
        }
        inside |= dict([CHANGES[one]]) if one in CHANGES else {}
        for name, inner in inside.items():
            if near := same_word(key, inner.model_fields):
                yield (*path, name, near)
            pending.append(((*path, name), inner))


def wrong_names(found: Sequence[str]) -> str:
    """Return why names are wrong, and what to write instead of the first."""
    first, *others = found
    near = re.sub(r"[^a-z0-9]+", "_", first.lower()).strip("_")
    hint = f"; write {near}" if re.match("[a-z]", near) and len(near) < 60 else ""
    more = f" and {len(others)} more such as {shown(others[0])}" if others else ""
    return (
        f"found {shown(first)}{more}; names are lower-case letters, digits and _, "
        f"beginning with a letter{hint}"
    )


def section_at(kind: type[BaseModel], location: Path_) -> type[BaseModel] | None:
    """Return the section class at a key path of the schema, or None."""
    types: list[Any] = [kind]
    for part in location:
        types = [inner for one in types for inner in types_below(one, part)]
    return next((one for one in types if is_section(one)), None)


def types_below(annotation: Any, part: str | int) -> list[Any]:
    """Return the types that a key or index of a value of some type may have."""
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
    """Return the types that a union or an annotated type stands for."""
    if get_origin(annotation) is Annotated:
        return alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [inner for one in get_args(annotation) for inner in alternatives(one)]
    return [annotation]


def is_section(annotation: Any) -> bool:
    """Return True if a type is a section of the schema."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def keys_of(section: type[BaseModel], found: Any) -> str:
    """Return what to write for a section: its keys, or `found` under a key it fits."""
    for name, field in section.model_fields.items():
        if isinstance(found, str) and found in get_args(field.annotation):
            return f"a mapping: {{{name}: {found}}}"
    return f"a mapping with the keys: {', '.join(section.model_fields)}"


# All that an annotation may name.
ANNOTATIONS: Settings = {
    "__builtins__": {t.__name__: t for t in (int, float, bool, str, list, tuple, dict)},
    **{"Literal": Literal, "Any": Any, "Optional": Optional, "Sequence": Sequence},
}


def check_type(annotation: str, value: Any) -> str | None:
    """Return why `value` does not fit a signature's annotation, or None if it does."""
    allowed = (ast.Name, ast.Subscript, ast.Constant, ast.Tuple, ast.BinOp, ast.BitOr)
    known = (*allowed, ast.Load, ast.Expression, ast.UnaryOp, ast.USub)
    if not all(
        isinstance(n, known) for n in ast.walk(ast.parse(annotation, mode="eval"))
    ):
        return None
    try:
        return misfit(eval(annotation, ANNOTATIONS), value)
    except (NameError, TypeError, PydanticSchemaGenerationError):
        return None


def misfit(kind: Any, value: Any) -> str | None:
    """Return why `value` is no literal of a type, or None if it is."""
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    try:
        adapter.validate_json(json.dumps(value, default=repr), strict=True)
    except ValidationError as error:
        item = error.errors()[0]
        return explain(Section, (), item | {"input": value})
    return None
