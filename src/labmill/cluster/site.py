"""The site file: the properties of one cluster, and their consequences for each rule.

Rules state what a job needs (`gpu=1`, `mem_mb`, `runtime`); the site file holds how a GPU
is requested, in which partition, on which account and up to which limits.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from labmill.cluster.rule_resources import RULES, on_gpu
from labmill.core import snakemake_internals
from labmill.core.errors import LabmillError, suggest
from labmill.core.trees import JsonObject, Settings
from labmill.study.yaml_source import YamlSource

# In a cluster's profile: the cluster's own file, and the one that is shipped.
FILES = ("site.yaml", "site.example.yaml")
GPU_STYLES = ("gres", "gpus", "none")
KINDS = {
    "modules": (list, "a list"),
    "local": (list, "a list"),
    "max_minutes": (int, "a whole number"),
    "max_mem_mb": (int, "a whole number"),
}
# Options of sbatch that Snakemake's executor plugin knows as resources of another name.
RENAMED = {"partition": "slurm_partition", "account": "slurm_account"}
# A resumable run saves its state upon this signal, ahead of its job's end. Other signals
# kill the Snakemake around the run.
SAVE = "--signal=TERM@120"


@dataclass(frozen=True)
class Site:
    """One cluster, from `site:` in the site file.

    Attributes:
        account, qos: as for sbatch.
        max_minutes, max_mem_mb: limits of a job at any attempt; None is no limit.
        modules: must be loaded where Snakemake starts; jobs inherit the environment.
    """

    partition: str | None = None  # of jobs with a GPU; None is the cluster's default
    cpu_partition: str | None = None  # of jobs without one; None is `partition`
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None  # node features that jobs with a GPU need
    gpus: str = "gres"  # `gres` (--gres=gpu:1), `gpus` (--gpus=1) or `none` (CPUs only)
    gpu_type: str | None = None  # as in --gres=gpu:<type>:1
    max_minutes: int | None = None
    max_mem_mb: int | None = None
    modules: tuple[str, ...] = ()
    local: tuple[str, ...] = (
        "download",
        "weights",
    )  # rules that run where Snakemake runs

    @classmethod
    def of(cls, config: JsonObject) -> "Site | None":
        """Return the site in Snakemake's config; None where there is none."""
        if "site" not in config:
            return None
        given = config["site"] or {}
        if not isinstance(given, Mapping):
            raise LabmillError("site file: `site:` must hold keys, such as partition")
        known = [field.name for field in fields(cls)]
        for key, value in given.items():
            if key not in known:
                raise LabmillError(f"site file: no key {key!r}; {suggest(key, known)}")
            wanted, words = KINDS.get(key, (str, "a text"))
            if value is not None and type(value) is not wanted:
                raise LabmillError(f"site file: {key}: {value!r} is not {words}")
        kept: Settings = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in given.items()
            if value is not None
        }
        site = cls(**kept)
        if site.gpus not in GPU_STYLES:
            hint = suggest(site.gpus, GPU_STYLES)
            raise LabmillError(f"site file: gpus: {site.gpus!r}; {hint}")
        return site

    def requests(self, gpu: bool) -> dict[str, str]:
        """Return the options of sbatch for a job, without the amounts."""
        style = self.gpus if gpu else "none"
        one = ":".join(filter(None, [self.gpu_type, "1"]))
        values = {
            "partition": self.partition
            if style != "none"
            else self.cpu_partition or self.partition,
            "account": self.account,
            "qos": self.qos,
            "constraint": self.constraint if style != "none" else None,
            "gres": f"gpu:{one}" if style == "gres" else None,
            "gpus": one if style == "gpus" else None,
        }
        return {key: value for key, value in values.items() if value}

    def resources(self, gpu: bool) -> dict[str, str | int]:
        """Return the same as resources of the executor plugin (`gpu` means --gpus)."""
        requests = self.requests(gpu)
        gpus = requests.pop("gpus", None)
        found: dict[str, str | int] = {
            RENAMED.get(k, k): v for k, v in requests.items()
        }
        if gpus and self.gpu_type:
            found["gpu_model"] = self.gpu_type
        return found | {"gpu": int(gpus is not None)}

    def amounts(self, rule: str, attempt: int = 1) -> dict[str, int]:
        """Return mem_mb and runtime of the n-th attempt: n times the first's, capped."""
        limits = {"mem_mb": self.max_mem_mb, "runtime": self.max_minutes}
        return {
            key: min(RULES[rule][key] * attempt, limit or 10**9)
            for key, limit in limits.items()
        }

    def options(self, rule: str, attempt: int = 1) -> list[str]:
        """Return all options of sbatch for a job of a rule."""
        amounts, requests = self.amounts(rule, attempt), self.requests(on_gpu(rule))
        return [
            *(f"--{key}={value}" for key, value in requests.items()),
            "--ntasks=1",
            f"--cpus-per-task={RULES[rule].get('cpus_per_task', 1)}",
            f"--mem={amounts['mem_mb']}M",
            f"--time={amounts['runtime']}",
        ]

    def check_modules(self, loaded: str | None = None) -> None:
        """Check that modules, by name or name/version, are loaded here."""
        text = os.environ.get("LOADEDMODULES", "") if loaded is None else loaded
        items = text.split(":")
        names = {*items, *(item.rpartition("/")[0] for item in items)}
        if missing := [module for module in self.modules if module not in names]:
            raise LabmillError(
                f"site file: modules that are not loaded: {', '.join(missing)}. "
                f"Run: module load {' '.join(self.modules)}"
            )


def site_file(profile: Path) -> Path | None:
    """Return the site file in a profile's folder; None where it is no cluster's."""
    return next(filter(Path.is_file, (profile / name for name in FILES)), None)


def read(path: Path) -> Settings:
    """Read a YAML file's mapping."""
    return YamlSource(path, empty=True).data


def find(workflow: Any, config: Settings) -> None:
    """Put the site into the config, from the profile's file unless it is there.

    A user's --configfile replaces any that a profile names, but not the site. Snakemake
    hands the file on to every job.
    """
    profile = snakemake_internals.profile_folder()
    path = site_file(profile) if profile else None
    if path and "site" not in config:
        config["site"] = read(path).get("site")
        snakemake_internals.add_config_file(workflow, path)


def set_site_resources(workflow: Any, config: JsonObject) -> None:
    """Set the resources of every rule for this site.

    Runs in every process, after the rules. The profile's and the command line's
    `set-resources` have priority.
    """
    site = Site.of(config)
    if site is None:
        return
    for name in site.local:
        if name not in RULES:
            hint = suggest(name, RULES)
            raise LabmillError(f"site file: local: no rule {name!r}; {hint}")
    resumable = snakemake_internals.resumable_rules(workflow)
    for name in RULES:
        resources: Settings = site.resources(on_gpu(name))
        resources |= {key: growing(site, name, key) for key in ("mem_mb", "runtime")}
        if name in resumable:
            resources["slurm_extra"] = SAVE
        snakemake_internals.set_resources(workflow, name, resources)
    workflow.localrules(*site.local)


def growing(site: Site, rule: str, key: str) -> Callable[..., int]:
    """Return a resource as Snakemake evaluates it: more at each attempt."""
    return lambda wildcards, attempt: site.amounts(rule, attempt)[key]
