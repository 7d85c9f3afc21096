"""Rule propose: edits of one variant, ranked by their predicted saving."""

from pathlib import Path

from labmill.measure.propose import propose
from labmill.runtime import logged, provenance

with logged(snakemake.log[0]):
    propose(
        measure=Path(snakemake.input.measure),
        description=Path(snakemake.input.description),
        images=Path(snakemake.input.images),
        card=Path(snakemake.input.card),
        split=Path(snakemake.input.split),
        out=Path(snakemake.output.proposed),
        provenance=provenance(snakemake.params.job),
    )
