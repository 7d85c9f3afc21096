"""Wait for orphaned jobs: those of a controller that is gone.

Snakemake's executor does not know the jobs of an earlier process and would submit them
again. A run's lease keeps that correct, but two jobs would wait for one result.
"""

import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from labmill.core.errors import LabmillError
from labmill.core.lock import claimed

# Number, state, reason, folder and comment of one job; the comment is the executor
# plugin's, or a pack's.
FORMAT = "%i|%T|%r|%Z|%k"
EVERY, PATIENCE = 5.0, 300.0
OURS = ("rule_", "group_", "pack_")


class Queued(NamedTuple):
    """One line of the queue."""

    number: str
    state: str
    reason: str
    folder: str
    comment: str

    def __str__(self) -> str:
        why = "" if self.state == "RUNNING" else f": {self.reason}"
        return f"{self.number} ({self.comment}, {self.state}{why})"


def queued_jobs(studies: Collection[str]) -> list[Queued]:
    """Return the queued jobs of these studies, or of none, in this working directory.

    Raises:
        OSError: there is no `squeue`, or the controller does not answer.
    """
    done = subprocess.run(
        ["squeue", "-h", "-o", FORMAT], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OSError(done.stderr.strip())
    rows = [Queued(*line.split("|", 4)) for line in done.stdout.splitlines()]
    known, here = {*claimed(), *studies}, Path.cwd()
    return [
        row
        for row in rows
        if Path(row.folder) == here
        and row.comment.startswith(OURS)
        and row.number != os.environ.get("SLURM_JOB_ID")
        and study_of(row.comment, known) in {*studies, None}
    ]


def study_of(comment: str, known: Iterable[str]) -> str | None:
    """Return the study of a job; None where its comment names none, as a download's.

    >>> study_of("rule_train_wildcards_lenet_wide_vit_0", ["lenet", "lenet_wide"])
    'lenet_wide'
    """
    wildcards = comment.partition("_wildcards_")[2] + "_"
    fits = [p for p in known if wildcards.startswith(p.replace("/", "_") + "_")]
    return max(fits, key=len, default=None)


def wait(studies: Collection[str], what: str = "orphaned jobs") -> None:
    """Wait until no job of these studies is left.

    Only their controller may call it: the jobs of a live one never end.
    """
    printed, answered = -60.0, time.monotonic()
    while True:
        try:
            left = queued_jobs(studies)
        except FileNotFoundError:
            return
        except OSError as error:
            printed = print_seldom(printed, f"the queue does not answer: {error}")
            if time.monotonic() - answered > PATIENCE:
                raise LabmillError(f"squeue does not answer: {error}") from None
        else:
            if not left:
                return
            answered = time.monotonic()
            names = ", ".join(map(str, left))
            numbers = " ".join(row.number for row in left)
            printed = print_seldom(
                printed, f"waiting for {what}: {names}; to give up: scancel {numbers}"
            )
        time.sleep(EVERY)


def print_seldom(last: float, text: str) -> float:
    """Print at most once a minute, and return when it was last."""
    if time.monotonic() - last < 60:
        return last
    print(f"labmill: {text}", file=sys.stderr, flush=True)
    return time.monotonic()
