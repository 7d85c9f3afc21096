"""Tables of size, operations and time of the networks."""

from collections.abc import Iterable, Sequence

from labmill.analysis.records import Formulations
from labmill.profiling.records import (
    CountTable,
    Latency,
    LayerCount,
    Measurement,
    Quantities,
)
from labmill.report.number_format import count, format_of, short, significant
from labmill.report.results import StudyResults
from labmill.report.sections.results.tables import filled
from labmill.report.table import Table
from labmill.report.text import listed, quoted
from labmill.study.metrics import metric
from labmill.training.records import ModelDescription

EFFORT = ("epochs", "train_seconds", "train_operations")


def effort(results: StudyResults) -> Table | None:
    """Return the cost of every variant: means over seeds."""
    columns = [c for c in EFFORT if filled(results, c)]
    rows = [
        [
            label,
            *(
                format_of(column)(mean.estimate)
                if (mean := results.mean(variant, column))
                else "–"
                for column in columns
            ),
        ]
        for variant, label in results.variants.items()
    ]
    caption = (
        "Effort by variant: means over seeds. Each training was a separate job, "
        "with other work at the same time: small differences in time may be that."
    )
    return (
        Table(["Variant", *(metric(c).title for c in columns)], rows, caption)
        if columns
        else None
    )


def formulations(results: StudyResults) -> Table | None:
    """Return times of a pass with the library's layers and with matrix products."""
    rows = []
    for run, record in results.analysed_runs(Formulations):
        for name in record.inference:
            times = [
                f"{t.median_s:.3g} ({t.q1_s:.3g} to {t.q3_s:.3g})"
                for t in (record.inference[name], record.training[name])
            ]
            difference = record.largest_difference[name]
            rows.append([run.label, name, *times, f"{difference:.1g}"])
    return Table(
        [
            "Variant",
            "Formulation",
            "Inference (s)",
            "Training (s)",
            "Largest difference of logits",
        ],
        rows,
        "Layers as matrix products: seconds for one pass over all images (median and "
        "quartiles), and how far the logits are from the library's.",
        "llrrr",
    )


def latency(results: StudyResults) -> Table | None:
    """Return parameters, operations and latency of the networks."""
    found = {
        label: measure
        for variant, label in results.variants.items()
        if (measure := results.first(variant, Measurement))
    }
    if not found:
        return None
    rows = [
        [
            label,
            count(measure.parameters),
            short(measure.macs),
            *map(timing, measure.latency),
        ]
        for label, measure in found.items()
    ]
    batches = [call.batch for call in next(iter(found.values())).latency]
    return Table(
        [
            "Variant",
            "Parameters",
            "Multiply–adds",
            *(f"Latency, batch {batch} (ms)" for batch in batches),
        ],
        rows,
        "Cost of the networks: median latency and its quartiles. Each network was timed by "
        "a separate job, with other work at the same time: small differences may be that.",
    )


def timing(call: Latency) -> str:
    """Return median and quartiles of a call's time."""
    median, low, high = map(significant, (call.median_ms, call.q1_ms, call.q3_ms))
    return f"{median} ({low} to {high})"


def operations(results: StudyResults) -> Iterable[Table]:
    """Yield networks layer by layer: the first of each kind, or each that differs.

    The latter with every count, where the study requests them.
    """
    every = results.study["measure"]["count_table"]
    known: dict[str, tuple[CountTable, list[str]]] = {}
    for variant, label in results.variants.items():
        found = results.first(variant, Measurement)
        description = results.first(variant, ModelDescription)
        if found and description:
            counted = found.operations
            key = counted.model_dump_json() if every else description.name
            known.setdefault(key, (counted, []))[1].append(label)
    for counted, labels in known.values():
        whose = listed(map(quoted, labels if every else labels[:1]))
        yield operations_of(counted, whose, COUNTED if every else BRIEFLY)


COUNTED = tuple(Quantities.model_fields)
BRIEFLY = ("parameters", "operations")


def operations_of(
    counted: CountTable, label: str, columns: Sequence[str] = COUNTED
) -> Table:
    """Return the layers of one network and their total; no column that is all 0."""
    layers = counted.layers
    keys = [key for key in columns if any(getattr(layer, key) for layer in layers)]
    # With every count there is no room for shapes.
    shapes = columns is not COUNTED
    rows = [
        [
            layer.name.removeprefix("layers."),
            layer.kind,
            *(["×".join(map(str, layer.output_shape[1:]))] if shapes else []),
            *counts(layer, keys),
        ]
        for layer in layers
    ]
    rows.append(
        ["total", *["" for _ in range(1 + shapes)], *counts(counted.total, keys)]
    )
    signs = "" if shapes else "; ×: multiplications, +: additions"
    return Table(
        ["Layer", "Kind", *(["Output"] if shapes else []), *map(heading, keys)],
        rows,
        f"{label}, layer by layer, for one sample{signs}.",
        "l" * (2 + shapes) + "r" * len(keys),
    )


def heading(key: str) -> str:
    """Return a column's heading, short enough for one page."""
    signs = {"multiplications": "×", "additions": "+"}
    return signs.get(key) or metric(key).title.removesuffix(" per image")


def counts(row: LayerCount | Quantities, keys: Sequence[str]) -> list[str]:
    """Return some of a row's numbers as text."""
    return [count(getattr(row, key)) for key in keys]
