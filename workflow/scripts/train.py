"""Rule train: one run, resumed from its last saved state."""

from pathlib import Path

from labmill.core.logs import logged
from labmill.core.records import Provenance
from labmill.search.chosen_settings import resolved_run
from labmill.training.inputs import DatasetFiles
from labmill.training.run_files import RunFiles
from labmill.training.train import train

with logged(snakemake.log[0]):
    job = Provenance.of_job(snakemake.params.job)
    start, paused = snakemake.input.get("start"), snakemake.input.get("paused")
    weights = snakemake.input.get("weights")
    same = snakemake.input.get("same")
    train(
        resolved_run(
            job.settings.get("run", job.settings), snakemake.input.get("chosen")
        ),
        DatasetFiles.from_inputs(snakemake.input),
        start=Path(start) if start else None,
        paused=Path(paused) if paused else None,
        weights=Path(weights) if weights else None,
        same=Path(same) if same else None,
        out=RunFiles.from_outputs(snakemake.output),
        state=Path(snakemake.params.state),
        pause=job.settings.get("epochs"),
        threads=snakemake.threads,
        provenance=job,
    )
