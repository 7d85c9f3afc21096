"""Rule propose: edits of one variant, ranked by their predicted saving."""

from pathlib import Path

from labmill.architecture_edits.propose import propose
from labmill.core.logs import logged
from labmill.core.records import Provenance
from labmill.training.inputs import DatasetFiles

with logged(snakemake.log[0]):
    propose(
        DatasetFiles.from_inputs(snakemake.input),
        measure=Path(snakemake.input.measure),
        description=Path(snakemake.input.description),
        out=Path(snakemake.output.proposed),
        provenance=Provenance.of_job(snakemake.params.job),
    )
