"""Nested mappings: merge, nest, flatten and compare them. Lists are leaves."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Required, TypedDict

# What a study file decides, by key: plain values, lists and mappings of them.
Settings = dict[str, Any]
# An object of a JSON file that is only read.
JsonObject = Mapping[str, Any]


class Difference(TypedDict, total=False):
    """One leaf. Where only one side has the key, the other side's value is missing."""

    key: Required[str]  # dotted
    before: Any
    now: Any


def merge(base: Any, overlay: Any) -> Any:
    """Return `overlay` over `base`: mappings merge, everything else is replaced."""
    if isinstance(base, dict) and isinstance(overlay, dict):
        result = dict(base)
        for key, value in overlay.items():
            result[key] = merge(base[key], value) if key in base else value
        return result
    return overlay


def nest(settings: JsonObject) -> Settings:
    """Return `{"training.schedule.kind": "cosine"}` as nested mappings."""
    result: Settings = {}
    for key, value in settings.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        result = merge(result, value)
    return result


def flatten(value: Any, prefix: str = "") -> Settings:
    """Return the leaves of nested mappings by dotted key; empty mappings have none."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    return {
        key: leaf
        for name, inner in value.items()
        for key, leaf in flatten(inner, f"{prefix}.{name}" if prefix else name).items()
    }


def differences(before: Any, now: Any, key: str = "") -> Iterator[Difference]:
    """Yield the leaves in which two settings differ, in the order of their keys."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted({*before, *now}):
            path = f"{key}.{name}" if key else name
            if name not in before:
                yield {"key": path, "now": now[name]}
            elif name not in now:
                yield {"key": path, "before": before[name]}
            else:
                yield from differences(before[name], now[name], path)
    elif before != now:
        yield {"key": key, "before": before, "now": now}


def in_words(difference: Difference) -> str:
    """Return a difference for a terminal: `training.epochs 10 → 20`."""
    key = difference["key"]
    if "before" not in difference:
        return f"{key} added"
    if "now" not in difference:
        return f"{key} removed"
    texts = [json.dumps(value) for value in (difference["before"], difference["now"])]
    return (
        f"{key} changed"
        if max(map(len, texts)) > 60
        else f"{key} {texts[0]} → {texts[1]}"
    )
