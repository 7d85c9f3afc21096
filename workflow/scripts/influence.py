"""Rule influence: the real influence of units beside the predicted."""

from pathlib import Path

from labmill.pruning.influence import influence
from labmill.runtime import logged, provenance
from labmill.trained import Trained

with logged(snakemake.log[0]):
    record = provenance(snakemake.params.job)
    influence(
        record["settings"],
        Trained.of(snakemake.input),
        out=Path(snakemake.output.influence),
        threads=snakemake.threads,
        provenance=record,
    )
