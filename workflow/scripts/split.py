"""Rule split: training, validation and unlabelled indices; the test's in their own file."""

from pathlib import Path

from labmill.data.splits import split
from labmill.runtime import logged, provenance

with logged(snakemake.log[0]):
    settings = provenance(snakemake.params.job)["settings"]
    split(
        settings,
        settings["split_seed"],
        images=Path(snakemake.input.images),
        labels=Path(snakemake.input.labels),
        card=Path(snakemake.input.card),
        split=Path(snakemake.output.split),
        test=Path(snakemake.output.test),
        summary=Path(snakemake.output.summary),
    )
