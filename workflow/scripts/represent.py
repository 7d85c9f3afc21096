"""Rule represent: what one network makes of images."""

from pathlib import Path

from labmill.evaluation.represent import represent
from labmill.runtime import logged, provenance

with logged(snakemake.log[0]):
    represent(
        images=Path(snakemake.input.images),
        card=Path(snakemake.input.card),
        split=Path(snakemake.input.split),
        model=Path(snakemake.input.model),
        description=Path(snakemake.input.description),
        arrays=Path(snakemake.output.arrays),
        figures=Path(snakemake.output.figures),
        provenance=provenance(snakemake.params.job),
    )
