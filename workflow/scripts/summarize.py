"""Rule summarize: one table of all runs, and every claim."""

from pathlib import Path

from labmill.index import ordered
from labmill.report.summarize import summarize
from labmill.runtime import logged, provenance

with logged(snakemake.log[0]):
    summarize(
        provenance(snakemake.params.job),
        ordered(snakemake.params.index, snakemake.input.files),
        runs=Path(snakemake.output.runs),
        index_out=Path(snakemake.output.index),
        claims=Path(snakemake.output.claims),
    )
