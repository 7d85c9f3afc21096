"""A killed Snakemake leaves its lock; the next one takes it away by itself.

Every Snakemake that runs jobs here holds operating-system locks for as long as it lives.
One is shared by all of them: who gets it alone knows that nobody else on this working
directory is alive, so Snakemake's own lock files are left over. The other, on a cluster,
is one per study: two heads would both submit what only one has yet planned.
"""

import fcntl
import os
import shutil
import socket
from pathlib import Path

from labmill.errors import LabmillError
from labmill.runtime import HEAD, writing

STUDIES = HEAD.with_name("labmill")
# The open file is the lock: it must stay open until the process ends.
_held: list[int] = []


def opened(path: Path) -> int:
    """The descriptor of a lock file, made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    _held.append(descriptor)
    return descriptor


def taken(descriptor: int) -> bool:
    """Lock a file for this process alone; False if another holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def sign(descriptor: int) -> None:
    """Write down whose lock it is, and that it was taken now."""
    os.truncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())


def heal_stale_lock() -> None:
    """Remove Snakemake's locks in this working directory if no owner can be alive.

    Raises:
        LabmillError: the folder cannot be written to.
    """
    with writing(HEAD):
        descriptor = opened(HEAD)
        if taken(descriptor):
            shutil.rmtree(HEAD.with_name("locks"), ignore_errors=True)
        sign(descriptor)
    fcntl.flock(descriptor, fcntl.LOCK_SH)


def claim(place: str) -> None:
    """Become the one head of a study in this directory, until this process ends.

    Raises:
        LabmillError: there is another one.
    """
    descriptor = opened(STUDIES / place.replace("/", "."))
    if not taken(descriptor):
        owner = os.pread(descriptor, 200, 0).decode().strip() or "a Snakemake"
        raise LabmillError(
            f"{place}: {owner} already works on it in this directory; wait for its end, "
            "or stop it and give the same command again"
        )
    sign(descriptor)


def claimed() -> list[str]:
    """The studies that anybody ever worked on in this directory."""
    return [path.name.replace(".", "/") for path in STUDIES.glob("*")]
