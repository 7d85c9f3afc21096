"""Rule overview: the index of all studies."""

import json
from pathlib import Path

from labmill.core.logs import logged
from labmill.report.index_page import site

with logged(snakemake.log[0]):
    site(
        json.loads(snakemake.params.job)["settings"]["studies"],
        Path(snakemake.output.page),
    )
