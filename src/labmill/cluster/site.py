"""The site file: what one cluster is like, and what follows for each rule.

Rules say what a job needs (`gpu=1`), the profile how much of it; how the cluster is asked
for a GPU, in which partition and on whose account is the site's.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from labmill.errors import LabmillError, suggest

GPU_STYLES = ("gres", "gpus", "none")
# What SLURM's resources are called in Snakemake's executor plugin.
NAMES = {
    "account": "slurm_account",
    "qos": "qos",
    "constraint": "constraint",
    "partition": "slurm_partition",
}


@dataclass(frozen=True)
class Site:
    """One cluster, as `site:` in the site file says.

    Attributes:
        partition: of jobs with a GPU; None is the cluster's default.
        cpu_partition: of jobs without one; None is `partition`.
        account, qos: as for sbatch.
        constraint: node features that jobs with a GPU need.
        gpus: `gres` (--gres=gpu:1), `gpus` (--gpus=1) or `none` (CPUs only).
        gpu_type: as in --gres=gpu:<type>:1.
        modules: must be loaded where Snakemake starts; jobs inherit the environment.
        local: rules that run where Snakemake runs.
    """

    partition: str | None = None
    cpu_partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gpus: str = "gres"
    gpu_type: str | None = None
    modules: tuple[str, ...] = ()
    local: tuple[str, ...] = ("download",)

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Site | None":
        """The site in Snakemake's config; None where no site file is named.

        Raises:
            LabmillError: an unknown key, or a value of the wrong kind.
        """
        if "site" not in config:
            return None
        given = config["site"] or {}
        if not isinstance(given, Mapping):
            raise LabmillError("site file: `site:` must hold keys, such as partition")
        known = [field.name for field in fields(cls)]
        for key, value in given.items():
            if key not in known:
                raise LabmillError(f"site file: no key {key!r}; {suggest(key, known)}")
            wanted = list if key in ("modules", "local") else str
            if value is not None and not isinstance(value, wanted):
                kind = "a list" if wanted is list else "a text"
                raise LabmillError(f"site file: {key}: {value!r} is not {kind}")
        kept = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in given.items()
            if value is not None
        }
        site = cls(**kept)
        if site.gpus not in GPU_STYLES:
            hint = suggest(site.gpus, GPU_STYLES)
            raise LabmillError(f"site file: gpus: {site.gpus!r}; {hint}")
        return site

    def resources(self, gpu: bool) -> dict[str, str | int]:
        """What a job asks SLURM for, beside the amounts, in the plugin's words."""
        gpu = gpu and self.gpus != "none"
        values = {
            "partition": self.partition
            if gpu
            else self.cpu_partition or self.partition,
            "account": self.account,
            "qos": self.qos,
            "constraint": self.constraint if gpu else None,
        }
        asked: dict[str, str | int] = {
            NAMES[key]: value for key, value in values.items() if value
        }
        if gpu and self.gpus == "gres":
            asked["gres"] = ":".join(filter(None, ["gpu", self.gpu_type, "1"]))
        elif gpu and self.gpu_type:
            asked["gpu_model"] = self.gpu_type
        # The plugin asks --gpus for a resource of this name.
        asked["gpu"] = int(gpu and self.gpus == "gpus")
        return asked

    def missing_modules(self, loaded: str | None = None) -> list[str]:
        """Modules of the site that are not loaded, by name or by name/version."""
        text = os.environ.get("LOADEDMODULES", "") if loaded is None else loaded
        names = {
            part for item in text.split(":") for part in (item, item.split("/")[0])
        }
        return [module for module in self.modules if module not in names]


def options(site: Site) -> list[str]:
    """What a GPU job of this site asks sbatch or srun for."""
    asked = site.resources(gpu=True)
    gpus = asked.get("gpu_model", "")
    values = {
        "--partition": asked.get("slurm_partition"),
        "--account": asked.get("slurm_account"),
        "--qos": asked.get("qos"),
        "--constraint": asked.get("constraint"),
        "--gres": asked.get("gres"),
        "--gpus": f"{gpus}:1".lstrip(":") if asked["gpu"] else None,
    }
    return [f"{name}={value}" for name, value in values.items() if value]


def place(workflow: Any, config: Mapping[str, Any]) -> None:
    """Give every rule of the workflow what its jobs ask this site for.

    Runs in every process, after the rules. What the profile or the command line sets for
    a rule (`set-resources`) stays.

    Raises:
        LabmillError: the site file is wrong, or a module is not loaded.
    """
    site = Site.of(config)
    if site is None:
        return
    rules = {rule.name: rule for rule in workflow.rules}
    check_rules(site.local, rules)
    if workflow.is_main_process and (missing := site.missing_modules()):
        raise LabmillError(
            f"site file: modules that are not loaded: {', '.join(missing)}. "
            f"Run: module load {' '.join(site.modules)}"
        )
    chosen = workflow.resource_settings.overwrite_resources
    for name, rule in rules.items():
        given = rule.resources.get("gpu")
        asked = site.resources(gpu=bool(given and given.raw))
        mine = chosen.get(name, {})
        rule.resources.update({k: v for k, v in asked.items() if k not in mine})
    workflow.localrules(*site.local)


def check_rules(names: Iterable[str], rules: Iterable[str]) -> None:
    """Raise LabmillError for a name that no rule has."""
    known = list(rules)
    for name in names:
        if name not in known:
            raise LabmillError(
                f"site file: local: no rule {name!r}; {suggest(name, known)}"
            )
