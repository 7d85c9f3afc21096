"""Rule measure: what one stage costs."""

from pathlib import Path

from labmill.measure.measure import measure
from labmill.runtime import logged, provenance
from labmill.trained import Trained

with logged(snakemake.log[0]):
    measure(
        Trained.of(snakemake.input),
        out=Path(snakemake.output.measure),
        trace=Path(snakemake.params.trace),
        provenance=provenance(snakemake.params.job),
    )
