"""Rule prune: one step of a prune loop."""

from pathlib import Path

from labmill.pruning.step import prune
from labmill.runtime import logged, provenance
from labmill.trained import Trained

with logged(snakemake.log[0]):
    record = provenance(snakemake.params.job)
    before, chosen = snakemake.input.get("before"), snakemake.input.get("chosen")
    prune(
        record["settings"],
        Trained.of(snakemake.input),
        before=Path(before) if before else None,
        chosen=Path(chosen) if chosen else None,
        model_out=Path(snakemake.output.model),
        description_out=Path(snakemake.output.description),
        history=Path(snakemake.output.history),
        record=Path(snakemake.output.record),
        state=Path(snakemake.params.state),
        threads=snakemake.threads,
        provenance=record,
    )
