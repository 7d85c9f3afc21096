"""Rule represent: features of one network on validation images."""

from pathlib import Path

from labmill.analysis.features import represent
from labmill.core.logs import logged
from labmill.core.records import Provenance
from labmill.training.trained_model import TrainedModel

with logged(snakemake.log[0]):
    represent(
        TrainedModel.from_inputs(snakemake.input),
        arrays=Path(snakemake.output.arrays),
        out=Path(snakemake.output.figures),
        provenance=Provenance.of_job(snakemake.params.job),
    )
