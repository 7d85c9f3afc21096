"""Why a run has no result: the last words of its own log, or SLURM's of its job."""

import re
from pathlib import Path
from typing import Any

from labmill.looks import LOOKS

SLURM_LOGS = Path("logs/slurm")
# What SLURM writes into a job's log when it ends the job, and what that means.
ENDS = {
    r"oom.kill|Exceeded job memory limit|memory limit": "killed by SLURM: out of memory",
    r"DUE TO TIME LIMIT": "killed by SLURM: time limit",
    r"DUE TO NODE FAILURE": "killed by SLURM: node failure",
    r"CANCELLED AT": "cancelled in SLURM",
}
STAMP = re.compile(r"^\d\d:\d\d:\d\d ")


def reason(record: dict[str, Any]) -> str | None:
    """Why a record of the index lacks files; None where no log tells.

    Args:
        record: of `labmill.index`, with `folder` as `results/<study>/<run>/<stage>`;
            a search has none, and depends on its points.
    """
    if "folder" not in record:
        return "a run that it depends on has no result"
    study = (
        record["folder"]
        .removeprefix("results/")
        .removesuffix(f"/{record['variant']}/seed{record['seed']}/{record['stage']}")
    )
    for rule, name in candidates(record, study):
        words = slurm_end(rule, name) or last_error(Path(f"logs/{rule}/{name}.log"))
        if words:
            return f"{rule}: {words}"
    return None


def candidates(record: dict[str, Any], study: str) -> list[tuple[str, str]]:
    """The jobs of a stage in the order in which they run, as rule and log name."""
    run = f"{study}.{record['variant']}.seed{record['seed']}"
    stage = record["stage"]
    first = {"dense": ("train", run), "pretext": ("pretrain", run)}
    loop = "prune" if stage.rpartition("_")[2].isdigit() else "control"
    return [
        first.get(stage, (loop, f"{run}.{stage}")),
        ("evaluate", f"{run}.{stage}"),
        ("measure", f"{run}.{stage}"),
        *((look, run) for look in LOOKS),
    ]


def last_error(log: Path) -> str | None:
    """The last line of a rule's log if it says that the job failed."""
    if not log.is_file():
        return None
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [STAMP.sub("", line).strip() for line in text.splitlines() if line.strip()]
    if any(line.startswith(("Error: ", "The job failed")) for line in lines):
        return lines[-1].removeprefix("Error: ")
    return None


def slurm_end(rule: str, name: str, logs: Path = SLURM_LOGS) -> str | None:
    """How SLURM ended the newest job of a rule and run; None if it did not."""
    wildcards = re.sub(r"\.seed(\d+)", r".\1", name)
    folder = logs / f"rule_{rule}" / re.sub(r"[./]", "_", wildcards)
    jobs = sorted(folder.glob("*.log"), key=lambda path: int(path.stem))
    if not jobs:
        return None
    found = ended_by(jobs[-1])
    times = f" ({len(jobs)} attempts)" if len(jobs) > 1 else ""
    return found and f"{found}{times}, see {jobs[-1]}"


def ended_by(log: Path) -> str | None:
    """How SLURM ended the job of a log; None if it did not."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    return next((w for pattern, w in ENDS.items() if re.search(pattern, text)), None)
