"""Rule influence: real against predicted influence of units."""

from pathlib import Path

import torch_pruning  # noqa: F401  takes seconds: once in the worker, not in each job

from labmill.core.logs import logged
from labmill.core.records import Provenance
from labmill.pruning.influence import influence
from labmill.training.trained_model import TrainedModel

with logged(snakemake.log[0]):
    influence(
        TrainedModel.from_inputs(snakemake.input),
        out=Path(snakemake.output.influence),
        threads=snakemake.threads,
        provenance=Provenance.of_job(snakemake.params.job),
    )
