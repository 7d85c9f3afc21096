"""Rule examine: what one transformer looks at, and what its layers know."""

from pathlib import Path

from labmill.evaluation.examine import examine
from labmill.runtime import logged, provenance

with logged(snakemake.log[0]):
    examine(
        images=Path(snakemake.input.images),
        card=Path(snakemake.input.card),
        split=Path(snakemake.input.split),
        model=Path(snakemake.input.model),
        description=Path(snakemake.input.description),
        arrays=Path(snakemake.output.arrays),
        figures=Path(snakemake.output.figures),
        provenance=provenance(snakemake.params.job),
    )
