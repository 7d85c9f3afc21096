"""Rule represent: what one network makes of images."""

from pathlib import Path

from labmill.evaluation.represent import represent
from labmill.runtime import logged, provenance
from labmill.trained import Trained

with logged(snakemake.log[0]):
    represent(
        Trained.of(snakemake.input),
        arrays=Path(snakemake.output.arrays),
        figures=Path(snakemake.output.figures),
        provenance=provenance(snakemake.params.job),
    )
