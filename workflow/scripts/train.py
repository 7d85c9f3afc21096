"""Rule train: one run, from its last saved state on."""

from pathlib import Path

from labmill.runtime import logged, provenance
from labmill.search.chosen import resolved_run
from labmill.training.train import train

with logged(snakemake.log[0]):
    record = provenance(snakemake.params.job)
    train(
        resolved_run(record["settings"], snakemake.input.get("chosen")),
        images=Path(snakemake.input.images),
        card=Path(snakemake.input.card),
        split=Path(snakemake.input.split),
        start=Path(snakemake.input.start) if snakemake.input.get("start") else None,
        model=Path(snakemake.output.model),
        description=Path(snakemake.output.description),
        history=Path(snakemake.output.history),
        batches=Path(snakemake.output.batches),
        state=Path(snakemake.params.state),
        threads=snakemake.threads,
        provenance=record,
    )
