"""Rule decide: test the questions after a round of seeds."""

from pathlib import Path

from labmill.core.logs import logged
from labmill.core.provenance import provenance
from labmill.plan.outputs import ordered
from labmill.report.rounds import decide

with logged(snakemake.log[0]):
    decide(
        provenance(snakemake.params.job),
        ordered(snakemake.params.index, snakemake.input.files),
        record=Path(snakemake.output.record),
    )
