"""Rule confirm: the edits that are worth a full training."""

from pathlib import Path

from labmill.measure.confirm import confirm
from labmill.runtime import logged, provenance

with logged(snakemake.log[0]):
    confirm(
        proposed=Path(snakemake.input.proposed),
        trials=snakemake.params.trials,
        out=Path(snakemake.output.confirmed),
        provenance=provenance(snakemake.params.job),
    )
