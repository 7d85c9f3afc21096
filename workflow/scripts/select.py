"""Rule select: rank a search's points and choose one."""

from pathlib import Path

from labmill.core.logs import logged
from labmill.core.records import Provenance
from labmill.search.select import select

with logged(snakemake.log[0]):
    base, rounds = snakemake.input.get("base"), snakemake.input.get("rounds")
    select(
        histories=snakemake.params.points,
        base=Path(base) if base else None,
        rounds=Path(rounds) if rounds else None,
        out=Path(snakemake.output.chosen),
        provenance=Provenance.of_job(snakemake.params.job),
    )
