"""Rule evaluate: predictions and scores of one stage; opens the test set once."""

from pathlib import Path

from labmill.evaluation.evaluate import evaluate
from labmill.runtime import logged, provenance

with logged(snakemake.log[0]):
    evaluate(
        images=Path(snakemake.input.images),
        card=Path(snakemake.input.card),
        split=Path(snakemake.input.split),
        test=Path(snakemake.input.test),
        summary=Path(snakemake.input.summary),
        model=Path(snakemake.input.model),
        description=Path(snakemake.input.description),
        predictions=Path(snakemake.output.predictions),
        metrics=Path(snakemake.output.metrics),
        openings=Path(snakemake.params.openings),
        threads=snakemake.threads,
        provenance=provenance(snakemake.params.job),
    )
