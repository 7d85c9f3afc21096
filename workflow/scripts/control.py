"""Rule control: train one control of a prune loop."""

from pathlib import Path

from labmill.core.logs import logged
from labmill.core.records import Provenance
from labmill.pruning.controls import control
from labmill.training.run_files import RunFiles
from labmill.training.trained_model import TrainedModel

with logged(snakemake.log[0]):
    chosen = snakemake.input.get("chosen")
    control(
        TrainedModel.from_inputs(snakemake.input),
        steps=[Path(step) for step in snakemake.input.steps],
        chosen=Path(chosen) if chosen else None,
        out=RunFiles.from_outputs(snakemake.output),
        state=Path(snakemake.params.state),
        threads=snakemake.threads,
        provenance=Provenance.of_job(snakemake.params.job),
    )
