"""Rule examine: what one transformer looks at, and what its layers know."""

from pathlib import Path

from labmill.evaluation.examine import examine
from labmill.runtime import logged, provenance
from labmill.trained import Trained

with logged(snakemake.log[0]):
    examine(
        Trained.of(snakemake.input),
        arrays=Path(snakemake.output.arrays),
        figures=Path(snakemake.output.figures),
        provenance=provenance(snakemake.params.job),
    )
