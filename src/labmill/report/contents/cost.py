"""What the networks cost, whole and layer by layer."""

from collections.abc import Iterable
from typing import Any

from labmill.fingerprint import canonical
from labmill.report.claims.words import listed, quoted
from labmill.report.results import Results
from labmill.report.tables import Table
from labmill.report.text import count, milliseconds, short, title


def latency(results: Results) -> Table | None:
    """Parameters, operations, memory and latency of the networks."""
    found = {
        label: measure
        for variant, label in results.variants.items()
        if (measure := measured(results, variant))
    }
    if not found:
        return None
    rows = [
        [
            label,
            count(measure["parameters"]),
            short(measure["macs"]),
            *map(timing, measure["latency"]),
        ]
        for label, measure in found.items()
    ]
    batches = [call["batch"] for call in next(iter(found.values()))["latency"]]
    return Table(
        [
            "Variant",
            "Parameters",
            "Multiply–adds",
            *(f"Latency, batch {batch} (ms)" for batch in batches),
        ],
        rows,
        "Cost of the networks: median latency and its quartiles. Each network was timed by "
        "a job of its own, with other work beside it: small differences may be that.",
    )


def measured(results: Results, variant: str) -> dict[str, Any] | None:
    """measure.json of a variant's first run that has one."""
    for record in results.sound(variant):
        if found := results.open(record, "measure"):
            return found
    return None


def timing(call: dict[str, Any]) -> str:
    """Median and quartiles of a call's time."""
    median, low, high = (milliseconds(call[f"{k}_ms"]) for k in ("median", "q1", "q3"))
    return f"{median} ({low} to {high})"


def operations(results: Results) -> Iterable[Table]:
    """Operations layer by layer, where the study asks for them.

    One table for all variants that have the same layers.
    """
    if not results.study["measure"]["count_table"]:
        return
    alike: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for variant, label in results.variants.items():
        if found := measured(results, variant):
            counted = found["operations"]
            alike.setdefault(canonical(counted), (counted, []))[1].append(label)
    for counted, labels in alike.values():
        yield operations_of(counted, listed(map(quoted, labels)))


def operations_of(counted: dict[str, Any], label: str) -> Table:
    """The layers of one network and their total; no column that is 0 for all."""
    layers, total = counted["layers"], counted["total"]
    known = dict.fromkeys(key for layer in layers for key in layer)
    numbers = [key for key in known if all(is_number(y.get(key)) for y in layers)]
    keys = [key for key in numbers if any(layer[key] for layer in layers)]
    rows = [
        [
            layer["name"].removeprefix("layers."),
            layer["kind"],
            *(count(layer[key]) for key in keys),
        ]
        for layer in layers
    ]
    rows.append(["total", "", *(count(total[k]) if k in total else "–" for k in keys)])
    return Table(
        ["Layer", "Kind", *(heading(key) for key in keys)],
        rows,
        f"Operations of {label}, layer by layer, for one image; ×: multiplications, "
        "+: additions.",
        "ll" + "r" * len(keys),
    )


def heading(key: str) -> str:
    """Of a column; the signs leave room for all of them on one page."""
    signs = {"multiplications": "×", "additions": "+"}
    return signs.get(key) or title(key).removesuffix(" per image")


def is_number(value: Any) -> bool:
    """Whether it can be counted."""
    return isinstance(value, int | float) and not isinstance(value, bool)
