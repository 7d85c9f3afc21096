"""What the networks cost, whole and layer by layer."""

from collections.abc import Iterable
from typing import Any

from labmill.report.results import Results
from labmill.report.tables import Table
from labmill.report.text import count, short


def latency(results: Results) -> Table | None:
    """Parameters, operations, memory and latency of the networks."""
    rows, batches = [], []
    for variant, label in results.variants.items():
        for record in results.stages(variant):
            if measured := results.open(record, "measure"):
                batches = [t["batch"] for t in measured["latency"]]
                rows.append(
                    [
                        label,
                        count(measured["parameters"]),
                        short(measured["macs"]),
                        *(
                            f"{t['median_ms']:.3g} ({t['q1_ms']:.3g} to {t['q3_ms']:.3g})"
                            for t in measured["latency"]
                        ),
                    ]
                )
                break
    if not rows:
        return None
    return Table(
        [
            "Variant",
            "Parameters",
            "Multiply–adds",
            *(f"Latency, batch {batch} (ms)" for batch in batches),
        ],
        rows,
        "Cost of the networks: median latency and its quartiles.",
    )


def operations(results: Results) -> Iterable[Table]:
    """Operations layer by layer, where the study asks for them."""
    if not results.study["measure"]["count_table"]:
        return
    for variant, label in results.variants.items():
        for record in results.stages(variant):
            if measured := results.open(record, "measure"):
                layers = measured["operations"]["layers"]
                known = list(dict.fromkeys(key for layer in layers for key in layer))
                keys = [k for k in known if k not in ("name", "kind")]
                keys = [k for k in keys if all(is_number(y.get(k)) for y in layers)]
                rows = [
                    [y["name"], y["kind"], *(count(y[key]) for key in keys)]
                    for y in [*layers]
                ]
                total = measured["operations"]["total"]
                rows.append(
                    [
                        "total",
                        "",
                        *(count(total[k]) if k in total else "–" for k in keys),
                    ]
                )
                yield Table(
                    ["Layer", "Kind", *(key.replace("_", " ") for key in keys)],
                    rows,
                    f"Operations of {label}, layer by layer, for one image.",
                    "ll" + "r" * len(keys),
                )
                break


def is_number(value: Any) -> bool:
    """Whether it can be counted."""
    return isinstance(value, int | float) and not isinstance(value, bool)
