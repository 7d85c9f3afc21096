"""Jobs of a head that is gone: the next head lets them end and takes their results.

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

from labmill.errors import LabmillError
from labmill.lock import claimed

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


def jobs(places: Collection[str]) -> list[Queued]:
    """What the queue holds of these studies, or of none, in this working directory.

    Raises:
        OSError: there is no `squeue`, or the controller does not answer.
    """
    done = subprocess.run(
        ["squeue", "-h", "-o", FORMAT], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OSError(done.stderr.strip())
    rows = [Queued(*line.split("|", 4)) for line in done.stdout.splitlines()]
    known, here = {*claimed(), *places}, Path.cwd()
    return [
        row
        for row in rows
        if Path(row.folder) == here
        and row.comment.startswith(OURS)
        and row.number != os.environ.get("SLURM_JOB_ID")
        and place_of(row.comment, known) in {*places, None}
    ]


def place_of(comment: str, known: Iterable[str]) -> str | None:
    """The study that a job works on; None where its comment names none, as a download's.

    >>> place_of("rule_train_wildcards_lenet_wide_vit_0", ["lenet", "lenet_wide"])
    'lenet_wide'
    """
    wildcards = comment.partition("_wildcards_")[2] + "_"
    fits = [p for p in known if wildcards.startswith(p.replace("/", "_") + "_")]
    return max(fits, key=len, default=None)


def wait(places: Collection[str], what: str = "jobs of an earlier head") -> None:
    """Wait until no job of these studies is left.

    Call it only as their head: the jobs of a live one never end.

    Raises:
        LabmillError: the controller has not answered for five minutes.
    """
    told, answered = -60.0, time.monotonic()
    while True:
        try:
            left = jobs(places)
        except FileNotFoundError:
            return
        except OSError as error:
            told = tell(told, f"the queue does not answer: {error}")
            if time.monotonic() - answered > PATIENCE:
                raise LabmillError(f"squeue does not answer: {error}") from None
        else:
            if not left:
                return
            answered = time.monotonic()
            names = ", ".join(map(str, left))
            numbers = " ".join(row.number for row in left)
            told = tell(
                told, f"waiting for {what}: {names}; to give up: scancel {numbers}"
            )
        time.sleep(EVERY)


def tell(last: float, text: str) -> float:
    """Print at most once a minute."""
    if time.monotonic() - last < 60:
        return last
    print(f"labmill: {text}", file=sys.stderr, flush=True)
    return time.monotonic()
