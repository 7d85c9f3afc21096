"""Many small runs in one SLURM job, several at a time on its one GPU.

A prelude to the workflow: what a pack has trained, Snakemake finds made. Each run keeps
its own outputs, log, benchmark, lease and resumable state, since a pack is nothing but
the same workflow on a compute node. Snakemake's own groups run one job after the other,
with a new Snakemake for each (measured: docs/slurm.md).
"""

import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from labmill import registry
from labmill.cluster import leftovers
from labmill.cluster.site import Site, options
from labmill.errors import LabmillError
from labmill.explain import reason
from labmill.plan import Plan

ROOT = Path(__file__).parents[3]
LOGS = Path("logs/slurm/pack")
# Runs at a time in one pack; memory for each; minutes of one pack; packs after packs
# that were cut short, before what is left becomes ordinary jobs.
AT_ONCE, MEM_MB, MINUTES, ROUNDS = 4, 4000, 240, 3


def run(plans: Iterable[Plan], config: dict[str, Any]) -> None:
    """Train what `config["pack"]` allows to be packed; returns when the packs ended.

    Call it as the one head of the working directory.

    Raises:
        LabmillError: `pack` is no number, or sbatch refuses.
    """
    site, size = Site.of(config), config.get("pack")
    if site is None or size is None:
        return
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise LabmillError(f"config.yaml: pack: {size!r} is not a number of runs")
    for plan in plans:
        before: list[str] = []
        for _ in range(ROUNDS):
            targets = missing(plan)
            if len(targets) < 2 or targets == before:
                break
            snakemake = command(plan, [f"{plan.results}/split.npz"], 1)
            if subprocess.run(snakemake, check=False).returncode:
                break
            for part in chunks(targets, size):
                submit(site, command(plan, part, AT_ONCE))
            leftovers.wait(Path.cwd(), "packs")
            before = targets


def missing(plan: Plan) -> list[str]:
    """The weights that small runs, which depend on no other run, have yet to make."""
    found = []
    for entry in plan.entries.values():
        heavy = registry.constant("models", entry.model.name, "HEAVY")
        if heavy or entry.kind == "pretext" or entry.start or entry.chosen:
            continue
        for seed in entry.seeds:
            path = f"{plan.folder(entry.name, seed, 'dense')}/model.safetensors"
            if reason(path, plan.train_job(entry.name, seed).record):
                found.append(path)
    return found


def chunks(targets: Sequence[str], size: int) -> list[list[str]]:
    """As few parts of at most `size` as possible, all about as long.

    >>> [len(part) for part in chunks("abcdefg", 3)]
    [3, 2, 2]
    """
    n = -(-len(targets) // size)
    return [list(targets[i::n]) for i in range(n)]


def command(plan: Plan, targets: Sequence[str], cores: int) -> list[str]:
    """The workflow on the machine where this runs, for these files only."""
    return [
        *(sys.executable, "-m", "snakemake", *targets),
        *("--snakefile", str(ROOT / "Snakefile")),
        *("--profile", str(ROOT / "profiles/local")),
        *("--cores", str(cores), "--nolock", "--quiet", "rules"),
    ]


def submit(site: Site, snakemake: Sequence[str]) -> str:
    """One pack to the queue; returns its job number.

    SIGTERM two minutes ahead of the end reaches every run in it, which saves its state.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    step = ["srun", "--ntasks=1", f"--cpus-per-task={AT_ONCE}", *snakemake]
    asked = [
        *("sbatch", "--parsable", "--job-name=labmill-pack", "--comment=labmill pack"),
        *("--ntasks=1", f"--cpus-per-task={AT_ONCE}", f"--mem={AT_ONCE * MEM_MB}"),
        *(f"--time={MINUTES}", "--requeue", "--signal=TERM@120"),
        *(f"--output={LOGS}/%j.log", f"--chdir={Path.cwd()}", *options(site)),
        f"--wrap={shlex.join(step)}",
    ]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabmillError(f"sbatch refuses a pack: {done.stderr.strip()}")
    return done.stdout.strip().split(";")[0]
