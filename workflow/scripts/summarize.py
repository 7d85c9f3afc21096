"""Rule summarize: one table of all runs, and every claim."""

from pathlib import Path

from labmill.core.logs import logged
from labmill.core.provenance import provenance
from labmill.plan.outputs import ordered
from labmill.report.summarize import summarize

with logged(snakemake.log[0]):
    summarize(
        provenance(snakemake.params.job),
        ordered(snakemake.params.index, snakemake.input.files),
        runs=Path(snakemake.output.runs),
        index_out=Path(snakemake.output.index),
        claims=Path(snakemake.output.claims),
    )
