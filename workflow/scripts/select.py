"""Rule select: rank a search's points and choose."""

from pathlib import Path

from labmill.runtime import logged, provenance
from labmill.search.select import select

with logged(snakemake.log[0]):
    record = provenance(snakemake.params.job)
    base = snakemake.input.get("base")
    select(
        record["settings"],
        histories=snakemake.params.points,
        base=Path(base) if base else None,
        out=Path(snakemake.output.chosen),
        provenance=record,
    )
