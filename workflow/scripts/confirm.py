"""Rule confirm: rank the briefly trained edits."""

from pathlib import Path

from labmill.architecture_edits.confirm import confirm
from labmill.core.logs import logged
from labmill.core.records import Provenance

with logged(snakemake.log[0]):
    confirm(
        proposed=Path(snakemake.input.proposed),
        trials=snakemake.params.trials,
        out=Path(snakemake.output.confirmed),
        provenance=Provenance.of_job(snakemake.params.job),
    )
