"""Rule download: one dataset, decoded once."""

from pathlib import Path

from labmill.data import prepare
from labmill.runtime import logged, provenance

with logged(snakemake.log[0]):
    settings = provenance(snakemake.params.job)["settings"]
    prepare(
        settings["dataset"],
        settings["arguments"],
        images=Path(snakemake.output.images),
        labels=Path(snakemake.output.labels),
        card=Path(snakemake.output.card),
        mirror=snakemake.config.get("mirror"),
        downloads=Path(snakemake.config["store"]),
    )
