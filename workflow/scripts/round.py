"""Rule round: the points that a search trains next."""

from pathlib import Path

from labmill.core.logs import logged
from labmill.core.records import Provenance
from labmill.search.rounds import propose

with logged(snakemake.log[0]):
    before, asked = snakemake.input.get("before"), snakemake.input.get("asked")
    propose(
        before=Path(before) if before else None,
        asked=Path(asked) if asked else None,
        histories=snakemake.params.points,
        record=Path(snakemake.output.record),
        journal=Path(snakemake.output.journal),
        provenance=Provenance.of_job(snakemake.params.job),
    )
