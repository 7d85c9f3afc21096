"""A training job's settings on a cluster, as the lines of a batch script.

Nobody writes such a script here: Snakemake submits the jobs. The lines say in SLURM's own
words what the profile and its site file ask for.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from labmill.cluster.site import Site, options


def batch_lines(config: Mapping[str, Any], profile: Path) -> str:
    """The `#SBATCH` lines of rule `train` on its first attempt.

    config: Snakemake's, in which `site` stands where a site file was named; profile: the
    folder of the cluster's profile, whose site file counts otherwise.
    """
    if "site" not in config:
        config = read(profile / "site.yaml")
    profiled = read(profile / "config.yaml")
    settings = profiled.get("set-resources", {}).get("train", {})
    logs = profiled.get("slurm-logdir")
    site = Site.of(config) or Site()
    asked = [
        *options(site),
        "--ntasks=1",
        f"--cpus-per-task={first(settings.get('cpus_per_task', 1))}",
        f"--mem={first(settings['mem_mb'])}M" if "mem_mb" in settings else "",
        f"--time={first(settings['runtime'])}" if "runtime" in settings else "",
        f"--output={logs}/rule_train/%j.log" if logs else "",
        *str(settings.get("slurm_extra", "")).split(),
    ]
    lines = [f"#SBATCH {option}" for option in asked if option]
    lines += [f"module load {' '.join(site.modules)}"] if site.modules else []
    return "\n".join(lines)


def read(path: Path) -> dict[str, Any]:
    """A YAML file's mapping; nothing where there is none."""
    if not path.is_file():
        return {}
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def first(amount: Any) -> str:
    """An amount on the first attempt: `16000 * attempt` is 16000."""
    return str(amount).partition("*")[0].strip()
