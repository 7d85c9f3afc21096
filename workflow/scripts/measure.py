"""Rule measure: parameters, operations, latency and profile of one network."""

from pathlib import Path

from labmill.core.logs import logged
from labmill.core.records import Provenance
from labmill.profiling.measure import measure
from labmill.training.trained_model import TrainedModel

with logged(snakemake.log[0]):
    measure(
        TrainedModel.from_inputs(snakemake.input),
        out=Path(snakemake.output.measure),
        trace=Path(snakemake.params.trace),
        provenance=Provenance.of_job(snakemake.params.job),
    )
