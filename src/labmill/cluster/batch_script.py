"""Show a training job's settings on a cluster as the lines of a batch script.

Snakemake submits the jobs without such a script. The lines state what the rule and the
site file request.
"""

from labmill.cluster.failures import SLURM_LOGS
from labmill.cluster.site import SAVE, Site, read, site_file
from labmill.core.paths import slurm_profile
from labmill.core.trees import JsonObject


def batch_lines(config: JsonObject) -> str:
    """Return the `#SBATCH` lines of rule `train` on its first attempt.

    Where `config` has no `site`, since the profile is no cluster's, the site file of
    this repository's profile counts.
    """
    if "site" not in config:
        path = site_file(slurm_profile())
        config = read(path) if path else {}
    site = Site.of(config) or Site()
    options = [*site.options("train"), f"--output={SLURM_LOGS}/rule_train/%j.log", SAVE]
    lines = [f"#SBATCH {option}" for option in options]
    lines += [f"module load {' '.join(site.modules)}"] if site.modules else []
    return "\n".join(lines)
