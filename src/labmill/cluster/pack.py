"""Many small runs in one SLURM job, several at a time on its one GPU.

A prelude to the workflow: what a pack has trained and evaluated, Snakemake finds made.
Each run keeps its own outputs, log, benchmark, lease and resumable state, since a pack is
nothing but the same workflow on a compute node. Snakemake's own groups run one job after
the other, with a new Snakemake for each (measured: docs/slurm.md).
"""

import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from labmill import registry
from labmill.cluster import failure, leftovers
from labmill.cluster.needs import needs
from labmill.cluster.site import SAVE, Site, profile_in_use
from labmill.errors import LabmillError
from labmill.explain import reason
from labmill.index import on_disk, results_index
from labmill.plan import Plan
from labmill.runtime import write_json

ROOT = Path(__file__).parents[3]
LOCAL = ROOT / "profiles/local"
LOGS = failure.SLURM_LOGS / "pack"
# A pack asks for what one training job does, and its runs share it, a core each. Packs
# that were cut short are submitted again; after so many, the rest become ordinary jobs.
RULE, ROUNDS = "train", 3


def run(plans: Iterable[Plan], config: Mapping[str, Any]) -> None:
    """Make what `config["pack"]` allows to be packed; returns when the packs ended.

    Call it as the head of these studies.

    Raises:
        LabmillError: sbatch refuses.
    """
    site, size = Site.of(config), config.get("pack")
    if site is None or size is None:
        return
    # Packs are told all that this head was told, by its command line too.
    told = LOGS / "config.json"
    write_json(told, {**config, "packed": True})
    profile = profile_in_use() or LOCAL
    for plan in plans:
        for attempt in range(1, ROUNDS + 1):
            runs = missing(plan)
            split = snakemake([f"{plan.results}/split.npz"], profile, told)
            if len(runs) < 2 or subprocess.run(split, check=False).returncode:
                break
            numbers = [
                submit(plan, site, part, told, attempt) for part in chunks(runs, size)
            ]
            leftovers.wait([plan.place], "packs")
            for log in (LOGS / f"{number}.log" for number in numbers):
                if words := failure.ended_by(log):
                    print(f"labmill: a pack was {words}, see {log}", file=sys.stderr)


def missing(plan: Plan) -> list[list[str]]:
    """What small runs, which depend on no other run, have yet to make; a list per run.

    The weights and, where the study asks for them, the predictions.
    """
    found = []
    for record in results_index(plan, on_disk(plan)):
        if record.get("stage") != "dense":
            continue
        entry, seed = plan.entry(record["variant"]), record["seed"]
        heavy = registry.constant("models", entry.model.name, "HEAVY")
        if heavy or entry.start or entry.chosen:
            continue
        jobs = {"model": plan.train_job(entry.name, seed)}
        if "predictions" in record["files"]:
            jobs["predictions"] = plan.evaluate_job(entry.name, seed, "dense")
        files = {record["files"][key]: job for key, job in jobs.items()}
        if left := [path for path, job in files.items() if reason(path, job.record)]:
            found.append(left)
    return found


def chunks(runs: Sequence[Sequence[str]], size: int) -> list[list[Sequence[str]]]:
    """As few parts of at most `size` runs as possible, all about as long.

    >>> [len(part) for part in chunks("abcdefg", 3)]
    [3, 2, 2]
    """
    n = -(-len(runs) // size)
    return [list(runs[i::n]) for i in range(n)]


def snakemake(targets: Sequence[str], profile: Path, config: Path) -> list[str]:
    """The workflow for these files only, as a part of this head."""
    return [
        *(sys.executable, "-m", "snakemake", *targets),
        *("--snakefile", str(ROOT / "Snakefile"), "--profile", str(profile)),
        *("--configfile", str(config), "--nolock", "--quiet", "rules"),
    ]


def submit(
    plan: Plan, site: Site, runs: Sequence[Sequence[str]], config: Path, attempt: int
) -> str:
    """One pack to the queue; returns its job number.

    SIGTERM ahead of the end reaches every run in it, which saves its state.
    """
    at_once = str(needs()[RULE]["cpus_per_task"])
    targets = [path for files in runs for path in files]
    inner = snakemake(targets, LOCAL, config)
    step = ["srun", "--ntasks=1", f"--cpus-per-task={at_once}", *inner]
    asked = [
        *("sbatch", "--parsable", "--requeue", "--job-name=labmill-pack", SAVE),
        f"--comment=pack_wildcards_{plan.place.replace('/', '_')}",
        *(f"--output={LOGS}/%j.log", f"--chdir={Path.cwd()}"),
        *site.options(RULE, attempt),
        f"--wrap={shlex.join([*step, '--cores', at_once])}",
    ]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabmillError(f"sbatch refuses a pack: {done.stderr.strip()}")
    return done.stdout.strip().split(";")[0]
