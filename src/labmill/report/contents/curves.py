"""Accuracy epoch by epoch, and the networks layer by layer: for the appendix."""

from collections.abc import Iterable

import pandas as pd

from labmill.report.claims.words import quoted
from labmill.report.contents.cost import is_number, measured
from labmill.report.results import Results
from labmill.report.tables import Table
from labmill.report.text import count, percent

# The epochs that a table shows of a long training, and its last.
SHOWN = (1, 2, 3, 5, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200, 300)


def epochs(results: Results) -> Table | None:
    """Training and validation accuracy at some epochs: means over the seeds still in training."""
    means = {
        label: pd.concat(found).groupby("epoch").mean(numeric_only=True)
        for variant, label in results.variants.items()
        if (found := [results.history(record) for record in results.sound(variant)])
    }
    if not means:
        return None
    last = {int(mean.index.max()) for mean in means.values()}
    shown = sorted(last | {epoch for epoch in SHOWN if epoch <= max(last)})
    rows = [[epoch, *(at(mean, epoch) for mean in means.values())] for epoch in shown]
    return Table(
        ["Epoch", *means],
        rows,
        f"Accuracy on training and on validation {results.things} after some epochs (%): "
        "means over the seeds still in training.",
        "r" * (len(means) + 1),
    )


def at(mean: pd.DataFrame, epoch: int) -> str:
    """Training and validation accuracy after an epoch."""
    if epoch not in mean.index:
        return "–"
    pair = mean.loc[epoch, ["train_accuracy", "validation_accuracy"]]
    return " / ".join(percent(value).removesuffix("\u00a0%") for value in pair)


def layers(results: Results) -> Iterable[Table]:
    """The first network of each kind, layer by layer."""
    kinds: set[str] = set()
    for variant, label in results.variants.items():
        record = next(iter(results.sound(variant)), None)
        found = measured(results, variant)
        description = results.open(record, "description") if record else None
        if not found or not description or description["name"] in kinds:
            continue
        kinds.add(description["name"])
        rows = [
            [
                layer["name"],
                layer["kind"],
                shape(layer.get("output_shape")),
                *(count(layer[k]) if is_number(layer.get(k)) else "–" for k in COUNTED),
            ]
            for layer in found["operations"]["layers"]
        ]
        yield Table(
            ["Layer", "Kind", "Output", *map(str.capitalize, COUNTED)],
            rows,
            f"The network of {quoted(label)}, layer by layer, for one {results.thing}.",
            "lll" + "r" * len(COUNTED),
        )


COUNTED = ("parameters", "operations")


def shape(sizes: list[int] | None) -> str:
    """A layer's output for one image: `16×8×8`."""
    return "×".join(map(str, sizes[1:])) if sizes else "–"
