"""Rule weights: the pretrained weights of one network, fetched once."""

from pathlib import Path

from labmill.core.logs import logged
from labmill.core.provenance import provenance
from labmill.models.pretrained import prepare_weights
from labmill.workflow.config import read_config

with logged(snakemake.log[0]):
    config = read_config(snakemake.config)
    prepare_weights(
        **provenance(snakemake.params.job)["settings"],
        model=Path(snakemake.output.model),
        card=Path(snakemake.output.card),
        mirror=config.mirror,
        downloads=Path(config.store),
    )
