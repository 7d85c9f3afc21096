"""What `represent` found, as the figures about features read it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from labmill.report.results import Results


@dataclass(frozen=True)
class Represented:
    """One network's represent.json and represent.npz.

    Attributes:
        label: the network's name in the report.
        figures: explained, agreement, mixing, rotations.
        arrays: points, labels, neighbours, neighbour_labels.
    """

    label: str
    figures: dict[str, Any]
    arrays: dict[str, np.ndarray]


def represented(results: Results) -> Iterator[Represented]:
    """All that was represented, in the order of the study's list."""
    asked = results.study.get("represent") or {"variants": ()}
    for name in asked["variants"]:
        for record in results.records:
            if record.get("variant") != name or "represent" not in record["files"]:
                continue
            figures = results.open(record, "represent")
            path = results.path(record["files"]["represent_arrays"])
            if figures and path:
                with np.load(path) as file:
                    arrays = dict(file)
                yield Represented(record["label"], figures, arrays)
