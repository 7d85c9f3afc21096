"""Rule overview: the index of all studies."""

import json
from pathlib import Path

from labmill.report.site import site
from labmill.runtime import logged

with logged(snakemake.log[0]):
    site(
        json.loads(snakemake.params.job)["settings"]["studies"],
        Path(snakemake.output.page),
    )
