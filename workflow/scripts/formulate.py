"""Rule formulate: time layers as matrix products."""

from pathlib import Path

from labmill.analysis.matmul_timing import formulate
from labmill.core.logs import logged
from labmill.core.records import Provenance
from labmill.training.trained_model import TrainedModel

with logged(snakemake.log[0]):
    formulate(
        TrainedModel.from_inputs(snakemake.input),
        out=Path(snakemake.output.times),
        provenance=Provenance.of_job(snakemake.params.job),
    )
