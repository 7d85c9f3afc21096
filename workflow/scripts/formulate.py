"""Rule formulate: layers as matrix products, timed."""

from pathlib import Path

from labmill.measure.formulate import formulate
from labmill.runtime import logged, provenance

with logged(snakemake.log[0]):
    record = provenance(snakemake.params.job)
    formulate(
        record["settings"],
        images=Path(snakemake.input.images),
        card=Path(snakemake.input.card),
        split=Path(snakemake.input.split),
        model=Path(snakemake.input.model),
        description=Path(snakemake.input.description),
        out=Path(snakemake.output.times),
        provenance=record,
    )
