"""Rule report: Markdown, HTML, PDF, Word and LaTeX."""

from pathlib import Path

from labmill.core.logs import logged
from labmill.core.provenance import provenance
from labmill.report.report_inputs import ReportFiles
from labmill.report.results import StudyResults
from labmill.report.write import ReportOutputs, write
from labmill.workflow.targets import study_file

with logged(snakemake.log[0]):
    files = ReportFiles(
        index=Path(snakemake.input.index),
        claims=Path(snakemake.input.claims),
        split=Path(snakemake.input.summary),
        card=Path(snakemake.input.card),
        images=Path(snakemake.input.images),
        labels=Path(snakemake.input.labels),
        split_npz=Path(snakemake.input.split),
        pictures=study_file(Path(snakemake.wildcards.study).name).parent,
    )
    write(
        StudyResults.read(files, provenance(snakemake.params.job)),
        ReportOutputs(**{name: Path(path) for name, path in snakemake.output.items()}),
    )
