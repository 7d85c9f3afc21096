"""Rule split: training, validation and unlabelled indices; the test's in their own file."""

from pathlib import Path

from labmill.core.logs import logged
from labmill.core.provenance import provenance
from labmill.data.split import split
from labmill.data.stratify import SplitSettings

with logged(snakemake.log[0]):
    settings = provenance(snakemake.params.job)["settings"]
    split(
        SplitSettings(**settings),
        images=Path(snakemake.input.images),
        labels=Path(snakemake.input.labels),
        card=Path(snakemake.input.card),
        split=Path(snakemake.output.split),
        test=Path(snakemake.output.test),
        summary=Path(snakemake.output.summary),
    )
