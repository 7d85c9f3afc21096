"""In which leaves two settings differ."""

import json
from collections.abc import Iterator
from typing import Any

# One leaf: its dotted `key`, and its values `before` and `now`. Where only one side has
# the key, the other side's value is missing. Lists are leaves.
Difference = dict[str, Any]


def differences(before: Any, now: Any, key: str = "") -> Iterator[Difference]:
    """The leaves in which two settings differ, in the order of their keys."""
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
    """As one reads it in a terminal: `training.epochs 10 → 20`."""
    key = difference["key"]
    if "before" not in difference:
        return f"{key} added"
    if "now" not in difference:
        return f"{key} removed"
    texts = [json.dumps(difference[side]) for side in ("before", "now")]
    return (
        f"{key} changed"
        if max(map(len, texts)) > 60
        else f"{key} {texts[0]} → {texts[1]}"
    )
