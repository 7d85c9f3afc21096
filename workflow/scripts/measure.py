"""Rule measure: what one stage costs."""

from pathlib import Path

from labmill.measure.measure import measure
from labmill.runtime import logged, provenance

with logged(snakemake.log[0]):
    measure(
        images=Path(snakemake.input.images),
        card=Path(snakemake.input.card),
        split=Path(snakemake.input.split),
        model=Path(snakemake.input.model),
        description=Path(snakemake.input.description),
        out=Path(snakemake.output.measure),
        trace=Path(snakemake.params.trace),
        provenance=provenance(snakemake.params.job),
    )
