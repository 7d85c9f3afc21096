"""Rule control: what a pruned network is held against."""

from pathlib import Path

from labmill.pruning.control import control
from labmill.runtime import logged, provenance
from labmill.trained import Trained

with logged(snakemake.log[0]):
    record = provenance(snakemake.params.job)
    chosen = snakemake.input.get("chosen")
    control(
        record["settings"],
        Trained.of(snakemake.input),
        steps=[Path(step) for step in snakemake.input.steps],
        chosen=Path(chosen) if chosen else None,
        model_out=Path(snakemake.output.model),
        description_out=Path(snakemake.output.description),
        history=Path(snakemake.output.history),
        state=Path(snakemake.params.state),
        threads=snakemake.threads,
        provenance=record,
    )
