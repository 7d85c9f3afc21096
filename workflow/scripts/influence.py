"""Rule influence: the real influence of units beside the predicted."""

from pathlib import Path

from labmill.pruning.influence import influence
from labmill.runtime import logged, provenance

with logged(snakemake.log[0]):
    record = provenance(snakemake.params.job)
    influence(
        record["settings"],
        images=Path(snakemake.input.images),
        card=Path(snakemake.input.card),
        split=Path(snakemake.input.split),
        model=Path(snakemake.input.model),
        description=Path(snakemake.input.description),
        out=Path(snakemake.output.influence),
        threads=snakemake.threads,
        provenance=record,
    )
