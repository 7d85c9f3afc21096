"""Rule formulate: layers as matrix products, timed."""

from pathlib import Path

from labmill.measure.formulate import formulate
from labmill.runtime import logged, provenance
from labmill.trained import Trained

with logged(snakemake.log[0]):
    record = provenance(snakemake.params.job)
    formulate(
        record["settings"],
        Trained.of(snakemake.input),
        out=Path(snakemake.output.times),
        provenance=record,
    )
