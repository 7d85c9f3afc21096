"""Rule evaluate: predictions and metrics of one network; opens the test set once."""

from pathlib import Path

from labmill.core.logs import logged
from labmill.core.records import Provenance
from labmill.evaluation.evaluate import evaluate
from labmill.training.trained_model import TrainedModel

with logged(snakemake.log[0]):
    evaluate(
        TrainedModel.from_inputs(snakemake.input),
        test=Path(snakemake.input.test),
        summary=Path(snakemake.input.summary),
        predictions=Path(snakemake.output.predictions),
        metrics=Path(snakemake.output.metrics),
        record=Path(snakemake.params.openings),
        threads=snakemake.threads,
        provenance=Provenance.of_job(snakemake.params.job),
    )
