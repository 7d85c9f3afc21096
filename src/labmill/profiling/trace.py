"""Trace files: the Trace Event Format that Perfetto and chrome://tracing read."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labmill.core.trees import JsonObject

# What each kind of event must have besides `ph`, by the format's description
# (Google, "Trace Event Format"): complete, instant, metadata, flow, counter events.
FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    "X": {"name": (str,), "ts": (int, float), "dur": (int, float)},
    "B": {"name": (str,), "ts": (int, float)},
    "E": {"ts": (int, float)},
    "i": {"name": (str,), "ts": (int, float)},
    "M": {"name": (str,), "args": (dict,)},
    "C": {"name": (str,), "ts": (int, float), "args": (dict,)},
    "s": {"name": (str,), "ts": (int, float), "id": (int, str)},
    "t": {"name": (str,), "ts": (int, float), "id": (int, str)},
    "f": {"name": (str,), "ts": (int, float), "id": (int, str)},
}
# One event of a trace, or the whole file.
Event = JsonObject
SCOPES = ("g", "p", "t")
# How the ranges of a profiled step are called: its parts, the modules, the step itself.
MODULE, PHASE, STEP = "module:", "phase:", "step:"
# Bookkeeping: counting right answers and letting go of the gradients.
PHASES = ("data", "forward", "loss", "backward", "optimizer", "bookkeeping")
# Durations are rounded to nanoseconds, so neighbours may seem to overlap by one or two.
ROUNDING_US = 0.01


def read_trace(path: Path) -> Event:
    """Read a trace file, gzip or plain."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        trace: Event = json.load(file)
        return trace


def problems(trace: Event) -> list[str]:
    """Return violations of the format; none for a trace that Perfetto can show.

    Events need the fields of their kind, a process and a thread; times are finite and
    durations not negative; complete events of one thread are nested or apart; a flow
    that ends has begun.
    """
    events = trace.get("traceEvents")
    if not isinstance(events, list) or not events:
        return ["traceEvents: not a list of events"]
    found = [
        f"traceEvents[{number}]: {text}"
        for number, event in enumerate(events)
        for text in event_problems(event)
    ]
    if found:
        return found
    begun = {(e.get("cat"), e["id"]) for e in events if e["ph"] == "s"}
    found += [
        f"flow {event['id']} ends without a beginning"
        for event in events
        if event["ph"] == "f" and (event.get("cat"), event["id"]) not in begun
    ]
    return found + overlapping(events)


def event_problems(event: Any) -> list[str]:
    """Return what is wrong with one event."""
    if not isinstance(event, dict) or event.get("ph") not in FIELDS:
        return [f"not an event of a known kind: {str(event)[:80]}"]
    wanted = FIELDS[event["ph"]] | {"pid": (int, str), "tid": (int, str)}
    found = [
        f"{name}: {event.get(name)!r}"
        for name, types in wanted.items()
        if not isinstance(event.get(name), types)
    ]
    for name in ("ts", "dur"):
        value = event.get(name, 0)
        if isinstance(value, int | float) and not 0 <= value < float("inf"):
            found.append(f"{name}: {value}")
    if event["ph"] == "i" and event.get("s", "t") not in SCOPES:
        found.append(f"s: {event['s']!r}")
    return found


def overlapping(events: Sequence[Event]) -> list[str]:
    """Return complete events of one thread that overlap without nesting."""
    threads: dict[tuple[Any, Any], list[Event]] = {}
    for event in events:
        if event["ph"] == "X":
            threads.setdefault((event["pid"], event["tid"]), []).append(event)
    found = []
    for lane in threads.values():
        ends: list[float] = []
        for event in sorted(lane, key=lambda e: (e["ts"], -e["dur"])):
            while ends and ends[-1] <= event["ts"] + ROUNDING_US:
                ends.pop()
            end = event["ts"] + event["dur"]
            if ends and end > ends[-1] + ROUNDING_US:
                found.append(f"{event['name']}: overlaps the event around it")
            ends.append(end)
    return found


def phase_borders(trace: Event, step: str) -> list[list[Any]]:
    """Return [phase, ms since the step's beginning] for each phase."""
    span, inside = span_of(trace, step)
    return [
        [e["name"].removeprefix(PHASE), round((e["ts"] - span["ts"]) / 1e3, 4)]
        for e in sorted(inside, key=lambda e: e["ts"])
        if e["ph"] == "X" and e["name"].startswith(PHASE)
    ]


def span_of(trace: Event, name: str) -> tuple[Event, list[Event]]:
    """Return the first complete event of that name, and all that begin within it."""
    events = [e for e in trace["traceEvents"] if "name" in e and "ts" in e]
    span = next(e for e in events if e["ph"] == "X" and e["name"] == name)
    return span, [e for e in events if 0 <= e["ts"] - span["ts"] <= span["dur"]]


def memory_timeline(trace: Event, step: str, *, points: int = 240) -> list[list[float]]:
    """Return [ms since its beginning, bytes more than then] over one step.

    step: the name of its range. Of the accelerator where it has any allocation, else
    of the CPU. Thinned out to about `points`, keeping the largest of each stretch.
    """
    span, inside = span_of(trace, step)
    changes = [
        (e["ts"] - span["ts"], e["args"]["Bytes"], e["args"]["Device Type"])
        for e in inside
        if e["name"] == "[memory]"
    ]
    kinds = {kind for *_, kind in changes}
    device = max(kinds, default=0)
    line, held = [[0.0, 0.0]], 0
    for moment, size, kind in sorted(changes):
        if kind == device:
            held += size
            line.append([round(moment / 1e3, 4), held])
    stretch = -(-len(line) // points)
    thinned = [
        max(line[start : start + stretch], key=lambda point: point[1])
        for start in range(0, len(line), stretch)
    ]
    return [*thinned, [round(span["dur"] / 1e3, 4), held]]
