"""Rule summarize: one table of all runs, and every claim."""

from pathlib import Path

from labmill.report.summarize import summarize

from labmill.runtime import logged, provenance

with logged(snakemake.log[0]):
    summarize(
        provenance(snakemake.params.job),
        snakemake.params.index,
        runs=Path(snakemake.output.runs),
        index_out=Path(snakemake.output.index),
        claims=Path(snakemake.output.claims),
    )
