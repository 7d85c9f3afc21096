"""Rule prune: one step of a prune loop."""

from pathlib import Path

import torch_pruning  # noqa: F401  takes seconds: once in the worker, not in each job

from labmill.core.logs import logged
from labmill.core.records import Provenance
from labmill.pruning.step import prune
from labmill.training.run_files import RunFiles
from labmill.training.trained_model import TrainedModel

with logged(snakemake.log[0]):
    before, chosen = snakemake.input.get("before"), snakemake.input.get("chosen")
    prune(
        TrainedModel.from_inputs(snakemake.input),
        before=Path(before) if before else None,
        chosen=Path(chosen) if chosen else None,
        out=RunFiles.from_outputs(snakemake.output),
        record=Path(snakemake.output.record),
        state=Path(snakemake.params.state),
        threads=snakemake.threads,
        provenance=Provenance.of_job(snakemake.params.job),
    )
