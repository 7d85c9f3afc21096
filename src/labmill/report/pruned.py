"""The networks of a study's prune loops: dense, every step, and what they are held to."""

from dataclasses import dataclass
from typing import Any

from labmill.report.read import UNUSABLE, stage_of
from labmill.report.results import Results

CONTROLS = {
    "scratch": "same widths from scratch",
    "longer": "unpruned, trained as long",
}


@dataclass(frozen=True)
class Network:
    """One network of a loop.

    step: its number, 0 for the dense net, None for a control; accuracy: on validation;
    macs: for one image; latency_ms: of the first seed, at the largest batch size.
    """

    loop: str
    variant: str
    seed: int
    step: int | None
    control: str | None
    accuracy: float
    test: float | None
    macs: float | None
    latency_ms: float | None


def networks(results: Results) -> list[Network]:
    """All of them, in the order of the study; the dense net once per loop."""
    found = []
    for loop, settings in results.study["pruning"].items():
        for record in results.of_kind("variant"):
            mine = record["variant"] in settings["variants"]
            if mine and record["status"] not in UNUSABLE:
                found += network(results, loop, record)
    return found


def network(results: Results, loop: str, record: dict[str, Any]) -> list[Network]:
    """The record as a network of the loop, if it is one."""
    name, what = stage_of(record["stage"])
    dense = what == "dense"
    if not dense and name != loop:
        return []
    prune, metrics, measure, description = (
        results.open(record, file) or {}
        for file in ("prune", "metrics", "measure", "description")
    )
    if dense:
        steps = results.pruned.get(loop, {}).get(record["variant"], [])
        macs = next((step["dense_macs"] for step in steps), None)
    else:
        macs = prune.get("macs", description["training"].get("macs"))
    parts = metrics.get("parts", {})
    accuracy = prune.get("finetuned", parts.get("validation", {}).get("accuracy"))
    if accuracy is None:
        return []
    timings = measure.get("latency") or [{}]
    return [
        Network(
            loop=loop,
            variant=record["variant"],
            seed=record["seed"],
            step=0 if dense else int(what) if what.isdigit() else None,
            control=what if what in CONTROLS else None,
            accuracy=accuracy,
            test=parts.get("test", {}).get("accuracy"),
            macs=macs,
            latency_ms=max(timings, key=lambda t: t.get("batch", 0)).get("median_ms"),
        )
    ]
