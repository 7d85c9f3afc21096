"""Many small runs in one SLURM job, several at a time on its one GPU.

A pack runs the same workflow with the same configuration on a compute node, before the
workflow itself: Snakemake then finds its outputs made. Each run keeps its outputs, log,
benchmark, lease and resumable state. Snakemake's own groups run one job after the other,
with a new Snakemake for each (measured: docs/slurm.md).
"""

import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from labmill.cluster import failures, orphaned_jobs
from labmill.cluster.rule_resources import rule_resources
from labmill.cluster.site import SAVE, Site
from labmill.core import registry
from labmill.core.errors import LabmillError
from labmill.core.files import write_json
from labmill.core.paths import CHECKOUT
from labmill.core.snakemake_internals import profile_folder
from labmill.core.trees import JsonObject
from labmill.plan.plan import Plan
from labmill.plan.rerun_reasons import rerun_reason

LOCAL = CHECKOUT / "profiles/local"
LOGS = failures.SLURM_LOGS / "pack"
# A pack asks for what one training job does, and its runs share it, a core each. Packs
# that were cut short are submitted again; after so many, the rest become ordinary jobs.
RULE, ROUNDS = "train", 3


def run(plans: Iterable[Plan], config: JsonObject) -> None:
    """Run the packs that `config["pack"]` allows; returns when they ended.

    Only the controller of these studies may call it.
    """
    site, size = Site.of(config), config.get("pack")
    if site is None or size is None:
        return
    # Packs get all of this controller's settings, those of its command line too.
    settings = LOGS / "config.json"
    write_json(settings, {**config, "packed": True})
    profile = profile_folder() or LOCAL
    for plan in plans:
        for attempt in range(1, ROUNDS + 1):
            runs = missing(plan)
            split = snakemake([f"{plan.results}/split.npz"], profile, settings)
            if len(runs) < 2 or subprocess.run(split, check=False).returncode:
                break
            numbers = [
                submit(plan, site, part, settings, attempt)
                for part in chunks(runs, size)
            ]
            orphaned_jobs.wait([plan.study_path], "packs")
            for log in (LOGS / f"{number}.log" for number in numbers):
                if words := failures.ended_by(log):
                    print(f"labmill: a pack was {words}, see {log}", file=sys.stderr)


def missing(plan: Plan) -> list[list[str]]:
    """Return the files that small independent runs have yet to make; a list per run.

    The weights and, where the study requests them, the predictions.
    """
    found: dict[str, list[str]] = {}
    for planned in plan.jobs():
        if planned.rule not in ("train", "evaluate") or planned.stage != "dense":
            continue
        entry = plan.resolve(planned.wildcards["variant"])
        heavy = registry.constant("models", entry.model.name, "HEAVY")
        if heavy or entry.start or entry.chosen:
            continue
        if rerun_reason(planned.output, planned.job.record):
            found.setdefault(planned.subject, []).append(planned.output)
    return list(found.values())


def chunks(runs: Sequence[Sequence[str]], size: int) -> list[list[Sequence[str]]]:
    """Return as few parts of at most `size` runs as possible, all about as long.

    >>> [len(part) for part in chunks("abcdefg", 3)]
    [3, 2, 2]
    """
    n = -(-len(runs) // size)
    return [list(runs[i::n]) for i in range(n)]


def snakemake(targets: Sequence[str], profile: Path, config: Path) -> list[str]:
    """Return the command of the workflow for these files only, as part of this one."""
    return [
        *(sys.executable, "-m", "snakemake", *targets),
        *("--snakefile", str(CHECKOUT / "Snakefile"), "--profile", str(profile)),
        *("--configfile", str(config), "--nolock", "--quiet", "rules"),
    ]


def submit(
    plan: Plan, site: Site, runs: Sequence[Sequence[str]], config: Path, attempt: int
) -> str:
    """Submit one pack and return its job number.

    SIGTERM ahead of the end reaches every run in it, which saves its state.
    """
    at_once = str(rule_resources(RULE)["cpus_per_task"])
    targets = [path for files in runs for path in files]
    inner = snakemake(targets, LOCAL, config)
    step = ["srun", "--ntasks=1", f"--cpus-per-task={at_once}", *inner]
    asked = [
        *("sbatch", "--parsable", "--requeue", "--job-name=labmill-pack", SAVE),
        f"--comment=pack_wildcards_{plan.study_path.replace('/', '_')}",
        *(f"--output={LOGS}/%j.log", f"--chdir={Path.cwd()}"),
        *site.options(RULE, attempt),
        f"--wrap={shlex.join([*step, '--cores', at_once])}",
    ]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabmillError(f"sbatch refuses a pack: {done.stderr.strip()}")
    return done.stdout.strip().split(";")[0]
