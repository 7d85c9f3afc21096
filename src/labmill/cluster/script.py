"""A training job's settings on a cluster, as the lines of a batch script.

Nobody writes such a script here: Snakemake submits the jobs. The lines say in SLURM's own
words what the rule and the site file ask for.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labmill.cluster.failure import SLURM_LOGS
from labmill.cluster.site import SAVE, Site, read, site_file

SHIPPED = Path(__file__).parents[3] / "profiles/slurm"


def batch_lines(config: Mapping[str, Any]) -> str:
    """The `#SBATCH` lines of rule `train` on its first attempt.

    config: Snakemake's, in which `site` stands where the profile is a cluster's; the site
    file of this repository's profile counts otherwise.
    """
    if "site" not in config:
        config = read(site_file(SHIPPED))
    site = Site.of(config) or Site()
    asked = [*site.options("train"), f"--output={SLURM_LOGS}/rule_train/%j.log", SAVE]
    lines = [f"#SBATCH {option}" for option in asked]
    lines += [f"module load {' '.join(site.modules)}"] if site.modules else []
    return "\n".join(lines)
