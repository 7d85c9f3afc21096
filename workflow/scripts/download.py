"""Rule download: one dataset, decoded once."""

from pathlib import Path

from labmill.core.logs import logged
from labmill.core.provenance import provenance
from labmill.data.prepare import prepare
from labmill.workflow.config import read_config

with logged(snakemake.log[0]):
    # A workflow that imports this one as a module has its own config.
    config = read_config(snakemake.config)
    settings = provenance(snakemake.params.job)["settings"]
    prepare(
        settings["dataset"],
        settings["arguments"],
        images=Path(snakemake.output.images),
        labels=Path(snakemake.output.labels),
        card=Path(snakemake.output.card),
        mirror=config.mirror,
        downloads=Path(config.store),
    )
