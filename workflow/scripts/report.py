"""Rule report: Markdown, HTML and PDF."""

from pathlib import Path

from labmill.report.results import Results
from labmill.report.write import write
from labmill.runtime import logged, provenance

with logged(snakemake.log[0]):
    results = Results(
        job=provenance(snakemake.params.job),
        index=Path(snakemake.input.index),
        runs=Path(snakemake.input.runs),
        claims=Path(snakemake.input.claims),
        split=Path(snakemake.input.summary),
        card=Path(snakemake.input.card),
        images=Path(snakemake.input.images),
        labels=Path(snakemake.input.labels),
        split_npz=Path(snakemake.input.split),
    )
    write(
        results,
        markdown=Path(snakemake.output.markdown),
        html=Path(snakemake.output.html),
        pdf=Path(snakemake.output.pdf),
        figures=Path(snakemake.output.figures),
        record=Path(snakemake.output.record),
    )
