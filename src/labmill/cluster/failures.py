"""Why a run has no result: the last line of its log, or SLURM's message on its job."""

import re
from pathlib import Path

from labmill.plan.analyses import ANALYSES
from labmill.plan.outputs import Record, StageRecord

SLURM_LOGS = Path("logs/slurm")
# What SLURM writes into a job's log when it ends the job, and what that means.
ENDS = {
    r"oom.kill|Exceeded job memory limit|memory limit": "killed by SLURM: out of memory",
    r"DUE TO TIME LIMIT": "killed by SLURM: time limit",
    r"DUE TO NODE FAILURE": "killed by SLURM: node failure",
    r"CANCELLED AT": "cancelled in SLURM",
}
STAMP = re.compile(r"^\d\d:\d\d:\d\d ")


def reason(record: Record) -> str | None:
    """Return why a record of the index lacks files; None where no log shows it."""
    if not isinstance(record, StageRecord):
        return "a run that it depends on has no result"
    run = f"/{record.variant}/seed{record.seed}/{record.stage}"
    study = record.folder.removeprefix("results/").removesuffix(run)
    for rule, name in candidates(record, study):
        words = slurm_end(rule, name) or last_error(Path(f"logs/{rule}/{name}.log"))
        if words:
            return f"{rule}: {words}"
    return None


def candidates(record: StageRecord, study: str) -> list[tuple[str, str]]:
    """Return the jobs of a stage in the order in which they run: rule, log name."""
    run, stage = f"{study}.{record.variant}.seed{record.seed}", record.stage
    first = {"dense": ("train", run), "pretext": ("pretrain", run)}
    if stage.startswith("epochs"):
        first[stage] = ("pause", f"{run}.{stage}")
    loop = "prune" if stage.rpartition("_")[2].isdigit() else "control"
    return [
        first.get(stage, (loop, f"{run}.{stage}")),
        ("evaluate", f"{run}.{stage}"),
        ("measure", f"{run}.{stage}"),
        *((kind, run) for kind in ANALYSES),
    ]


def last_error(log: Path) -> str | None:
    """Return the last line of a rule's log if the job failed."""
    if not log.is_file():
        return None
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [STAMP.sub("", line).strip() for line in text.splitlines() if line.strip()]
    if any(line.startswith(("Error: ", "The job failed")) for line in lines):
        return lines[-1].removeprefix("Error: ")
    return None


def slurm_end(rule: str, name: str, logs: Path = SLURM_LOGS) -> str | None:
    """Return how SLURM ended the newest job of a rule and run; None if it did not."""
    wildcards = re.sub(r"\.seed(\d+)", r".\1", name)
    folder = logs / f"rule_{rule}" / re.sub(r"[./]", "_", wildcards)
    jobs = sorted(folder.glob("*.log"), key=lambda path: int(path.stem))
    if not jobs:
        return None
    found = ended_by(jobs[-1])
    times = f" ({len(jobs)} attempts)" if len(jobs) > 1 else ""
    return found and f"{found}{times}, see {jobs[-1]}"


def ended_by(log: Path) -> str | None:
    """Return how SLURM ended the job of a log; None if it did not."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    return next((w for pattern, w in ENDS.items() if re.search(pattern, text)), None)
