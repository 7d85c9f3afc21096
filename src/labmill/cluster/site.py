"""The site file: what one cluster is like, and what follows for each rule.

Rules say what a job needs (`gpu=1`, `mem_mb`, `runtime`); how the cluster is asked for a
GPU, in which partition, on whose account and up to which limits is the site's.
"""

import argparse
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from labmill.cluster.needs import needs, on_gpu
from labmill.errors import LabmillError, suggest

# Beside a cluster's profile: the site's own file, and the one that is shipped.
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
# A run that can go on saves its state when it is told so, ahead of its job's end. Other
# signals kill the Snakemake around the run.
SAVE = "--signal=TERM@120"


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
        max_minutes, max_mem_mb: more than this no job may ask for, however often it
            was tried; None is no limit.
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
    max_minutes: int | None = None
    max_mem_mb: int | None = None
    modules: tuple[str, ...] = ()
    local: tuple[str, ...] = ("download",)

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Site | None":
        """The site in Snakemake's config; None where there is none.

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
            wanted, words = KINDS.get(key, (str, "a text"))
            if value is not None and type(value) is not wanted:
                raise LabmillError(f"site file: {key}: {value!r} is not {words}")
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

    def asked(self, gpu: bool) -> dict[str, str]:
        """What a job asks sbatch for, beside the amounts: option → value."""
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
        """The same in the executor plugin's words, which asks --gpus for `gpu`."""
        asked = self.asked(gpu)
        gpus = asked.pop("gpus", None)
        words: dict[str, str | int] = {RENAMED.get(k, k): v for k, v in asked.items()}
        if gpus and self.gpu_type:
            words["gpu_model"] = self.gpu_type
        return words | {"gpu": int(gpus is not None)}

    def amounts(self, rule: str, attempt: int = 1) -> dict[str, int]:
        """mem_mb and runtime of a rule's n-th attempt: n times the first's, capped."""
        limits = {"mem_mb": self.max_mem_mb, "runtime": self.max_minutes}
        return {
            key: min(needs()[rule][key] * attempt, limit or 10**9)
            for key, limit in limits.items()
        }

    def options(self, rule: str, attempt: int = 1) -> list[str]:
        """What a job of a rule asks sbatch for."""
        amounts = self.amounts(rule, attempt)
        return [
            *(f"--{key}={value}" for key, value in self.asked(on_gpu(rule)).items()),
            "--ntasks=1",
            f"--cpus-per-task={needs()[rule].get('cpus_per_task', 1)}",
            f"--mem={amounts['mem_mb']}M",
            f"--time={amounts['runtime']}",
        ]

    def check_modules(self, loaded: str | None = None) -> None:
        """Raise LabmillError for modules, by name or name/version, not loaded here."""
        text = os.environ.get("LOADEDMODULES", "") if loaded is None else loaded
        items = text.split(":")
        names = {*items, *(item.rpartition("/")[0] for item in items)}
        if missing := [module for module in self.modules if module not in names]:
            raise LabmillError(
                f"site file: modules that are not loaded: {', '.join(missing)}. "
                f"Run: module load {' '.join(self.modules)}"
            )


def profile_in_use() -> Path | None:
    """The folder of the profile that this process was started with."""
    from snakemake.cli import get_profile_dir

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--profile", default=os.environ.get("SNAKEMAKE_PROFILE"))
    name = parser.parse_known_args()[0].profile
    found = name and get_profile_dir(name)
    return found[0] if found else None


def site_file(profile: Path) -> Path | None:
    """The site file in a profile's folder; None where it is no cluster's."""
    return next(filter(Path.is_file, (profile / name for name in FILES)), None)


def read(path: Path) -> dict[str, Any]:
    """A YAML file's mapping."""
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def find(workflow: Any, config: dict[str, Any]) -> None:
    """Put the site into the config, from the profile's file unless it is there.

    A --configfile of the user, which takes the place of any that a profile names, so
    loses no site. Snakemake hands the file on to every job.
    """
    profile = profile_in_use()
    path = site_file(profile) if profile else None
    if path and "site" not in config:
        config["site"] = read(path).get("site")
        workflow.config_settings.configfiles.insert(0, path.absolute())


def place(workflow: Any, config: Mapping[str, Any]) -> None:
    """Give every rule of the workflow what its jobs ask this site for.

    Runs in every process, after the rules. What the profile or the command line sets for
    a rule (`set-resources`) stays.

    Raises:
        LabmillError: the site file is wrong.
    """
    site = Site.of(config)
    if site is None:
        return
    rules = {rule.name: rule for rule in workflow.rules}
    check_rules(site.local, rules)
    chosen = workflow.resource_settings.overwrite_resources
    for name in needs():
        asked: dict[str, Any] = site.resources(on_gpu(name))
        asked |= {key: growing(site, name, key) for key in ("mem_mb", "runtime")}
        if hasattr(rules[name].params, "state"):
            asked["slurm_extra"] = SAVE
        mine = chosen.get(name, {})
        rules[name].resources.update({k: v for k, v in asked.items() if k not in mine})
    workflow.localrules(*site.local)


def growing(site: Site, rule: str, key: str) -> Callable[..., int]:
    """A resource as Snakemake evaluates it: more at each attempt."""
    return lambda wildcards, attempt: site.amounts(rule, attempt)[key]


def check_rules(names: Iterable[str], rules: Iterable[str]) -> None:
    """Raise LabmillError for a name that no rule has."""
    known = list(rules)
    for name in names:
        if name not in known:
            raise LabmillError(
                f"site file: local: no rule {name!r}; {suggest(name, known)}"
            )
