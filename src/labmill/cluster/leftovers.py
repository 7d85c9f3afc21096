"""Jobs of a head that is gone: the next head lets them end and takes their results.

Snakemake's executor does not know the jobs of an earlier process and would submit them
again. A run's lease keeps that correct, but two jobs would wait for one result.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from labmill.errors import LabmillError

# Every field of one job; the comment is the executor plugin's.
FORMAT = "%i|%T|%Z|%k"
EVERY, PATIENCE = 5.0, 300.0
OURS = ("rule_", "group_", "labmill ")


def jobs(directory: Path) -> dict[str, str]:
    """Jobs that the queue holds for this working directory: number → comment.

    Raises:
        OSError: there is no `squeue`, or the controller does not answer.
    """
    done = subprocess.run(
        ["squeue", "-h", "-o", FORMAT], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OSError(done.stderr.strip())
    rows = [line.split("|", 3) for line in done.stdout.splitlines()]
    myself = os.environ.get("SLURM_JOB_ID")
    return {
        number: comment
        for number, _, folder, comment in rows
        if Path(folder) == directory and comment.startswith(OURS) and number != myself
    }


def wait(directory: Path, what: str = "jobs of an earlier head") -> list[str]:
    """Wait until no job of the directory is left; return the numbers that there were.

    Call it only as the one head of the directory: the jobs of a live head never end.

    Raises:
        LabmillError: the controller has not answered for five minutes.
    """
    met: dict[str, str] = {}
    told, answered = -60.0, time.monotonic()
    while True:
        try:
            left = jobs(directory)
        except FileNotFoundError:
            return []
        except OSError as error:
            told = tell(told, f"the queue does not answer: {error}")
            if time.monotonic() - answered > PATIENCE:
                raise LabmillError(f"squeue does not answer: {error}") from None
        else:
            if not left:
                return list(met)
            met |= left
            answered = time.monotonic()
            names = ", ".join(f"{number} ({name})" for number, name in left.items())
            told = tell(told, f"waiting for {what}: {names}")
        time.sleep(EVERY)


def tell(last: float, text: str) -> float:
    """Print at most once a minute."""
    if time.monotonic() - last < 60:
        return last
    print(f"labmill: {text}", file=sys.stderr, flush=True)
    return time.monotonic()
