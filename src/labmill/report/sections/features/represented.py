"""What `represent` found, as the figures about features read it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from labmill.analysis.records import Representation
from labmill.report.results import StudyResults


@dataclass(frozen=True)
class Represented:
    """One network's represent.json and represent.npz.

    Attributes:
        label: the network's name in the report.
        arrays: points, labels, neighbours, neighbour_labels.
    """

    label: str
    record: Representation
    arrays: dict[str, np.ndarray]


def represented(results: StudyResults) -> Iterator[Represented]:
    """Yield all networks whose features were saved, in the order of the study's list."""
    for run, record in results.analysed_runs(Representation):
        if arrays := run.arrays("represent_arrays"):
            yield Represented(run.label, record, arrays)
