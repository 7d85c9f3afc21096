"""The report's tables, from the files; none computes what `summarize` has computed.

A template says `tables.<name>(results)`; each returns a `Table`, or None where the
study has nothing to show.
"""

from labmill.report.contents.beside import (
    notes,
    published,
    published_classes,
    published_history,
)
from labmill.report.contents.choices import controls, formulations, pruning, ranking
from labmill.report.contents.cost import latency, operations
from labmill.report.contents.curves import epochs, layers
from labmill.report.contents.data import balance, by_class
from labmill.report.contents.provenance import (
    environment,
    evidence,
    fingerprints,
    slurm,
)
from labmill.report.contents.recipes import (
    hyperparameters,
    networks,
    settings,
    variants,
)
from labmill.report.contents.reduced import reduced
from labmill.report.contents.scores import (
    classes,
    effort,
    failures,
    openings,
    results,
    seeds,
)

__all__ = [
    "balance",
    "by_class",
    "classes",
    "controls",
    "effort",
    "environment",
    "epochs",
    "evidence",
    "failures",
    "fingerprints",
    "formulations",
    "hyperparameters",
    "latency",
    "layers",
    "networks",
    "notes",
    "openings",
    "operations",
    "pruning",
    "published",
    "published_classes",
    "published_history",
    "ranking",
    "reduced",
    "results",
    "seeds",
    "settings",
    "slurm",
    "variants",
]
