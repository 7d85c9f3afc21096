"""Rule evaluate: predictions and scores of one stage; opens the test set once."""

from pathlib import Path

from labmill.evaluation.evaluate import evaluate
from labmill.runtime import logged, provenance
from labmill.trained import Trained

with logged(snakemake.log[0]):
    evaluate(
        Trained.of(snakemake.input),
        test=Path(snakemake.input.test),
        summary=Path(snakemake.input.summary),
        predictions=Path(snakemake.output.predictions),
        metrics=Path(snakemake.output.metrics),
        record=Path(snakemake.params.openings),
        threads=snakemake.threads,
        provenance=provenance(snakemake.params.job),
    )
