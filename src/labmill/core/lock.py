"""Locks of the controllers in one working directory; stale ones go automatically.

Every Snakemake that runs jobs here holds operating-system locks while it lives. One is
shared: a process that can take it exclusively knows that no other
Snakemake is running here, so that Snakemake's own lock files are stale. The other is one
per study: two controllers would both start what only one has planned.
"""

import fcntl
import os
import shutil
import socket
import sys
from datetime import datetime
from pathlib import Path

from labmill.core.errors import LabmillError
from labmill.core.files import NO_LOCKS, writing
from labmill.core.paths import MAIN_PROCESS
from labmill.core.processes import lives
from labmill.core.snakemake_internals import SNAKEMAKE_LOCKS

STUDIES = MAIN_PROCESS.with_name("labmill")
SINCE = "%Y-%m-%d %H:%M"


class ControllerLocks:
    """The locks that this process holds until it ends."""

    def __init__(self) -> None:
        self.held: dict[str, int] = {}
        self.warned = False

    def remove_stale(self) -> None:
        """Remove Snakemake's locks in this working directory if no owner can be alive."""
        with writing(MAIN_PROCESS):
            descriptor = self._open(MAIN_PROCESS)
            if self._lock(descriptor, fcntl.LOCK_EX):
                shutil.rmtree(SNAKEMAKE_LOCKS, ignore_errors=True)
            _sign(descriptor)
        self._lock(descriptor, fcntl.LOCK_SH)

    def claim(self, study_path: str) -> None:
        """Become the one controller of a study here, until this process ends."""
        path = STUDIES / study_path.replace("/", ".")
        with writing(path):
            descriptor = self._open(path)
            if self._lock(descriptor, fcntl.LOCK_EX) is False:
                raise LabmillError(
                    f"{study_path}: {_owner(path)} works on it in this folder; wait "
                    "until it ends, or stop it and give the same command again"
                )
            _sign(descriptor)

    def others(self) -> list[str]:
        """Return the other controllers here, as `study: process 7 on host since …`."""
        found = []
        for path in sorted(STUDIES.glob("*")):
            if str(path) in self.held:
                continue
            with path.open("r+") as file:
                if self._lock(file.fileno(), fcntl.LOCK_EX) is False:
                    found.append(f"{path.name.replace('.', '/')}: {_owner(path)}")
        return found

    def _open(self, path: Path) -> int:
        path.parent.mkdir(parents=True, exist_ok=True)
        if str(path) not in self.held:
            self.held[str(path)] = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        return self.held[str(path)]

    def _lock(self, descriptor: int, kind: int) -> bool | None:
        """Lock a file; False if another holds it, None where there are no locks."""
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                return False
            if not self.warned:
                print(
                    f"labmill: this folder's file system has no file locks "
                    f"({error.strerror}): start only one Snakemake here, and after a "
                    "crash remove its lock with --unlock",
                    file=sys.stderr,
                )
            self.warned = True
            return None
        return True


def claimed() -> list[str]:
    """Return the studies that any controller ever worked on in this folder."""
    return [path.name.replace(".", "/") for path in STUDIES.glob("*")]


def controller_of(study_path: str) -> str | None:
    """Return `process 7 on host since …`, from the file of the study's lock.

    None where nobody ever worked on the study, or the process was one of this machine and
    has ended. No lock is tried: that could keep a controller from starting.
    """
    try:
        path = STUDIES / study_path.replace("/", ".")
        text = path.read_text(encoding="utf-8").strip()
        _, number, _, host, _, since = text.split(maxsplit=5)
        signed = datetime.strptime(since, SINCE).timestamp()
        ended = host == socket.gethostname() and not lives(int(number), signed)
    except (OSError, ValueError):
        return None
    return None if ended else text


def _sign(descriptor: int) -> None:
    """Write down who holds a lock, and since when."""
    since = datetime.now().strftime(SINCE)
    text = f"process {os.getpid()} on {socket.gethostname()} since {since}\n"
    os.truncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, text.encode())


def _owner(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() or "another Snakemake"
