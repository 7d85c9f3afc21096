"""A killed Snakemake leaves its lock; the next one takes it away by itself.

The head process holds an operating-system lock on a file for as long as it lives. Who
gets that lock knows that nobody on this working directory is alive, so Snakemake's own
lock files are left over. Who does not get it leaves them: a live head owns them.
"""

import fcntl
import os
import shutil
import socket
from pathlib import Path

from labmill.runtime import HEAD, writing

# The open file is the lock: it must stay open until the process ends.
_held: list[int] = []


def heal_stale_lock(directory: Path) -> bool:
    """Remove Snakemake's locks below `directory` if their owner is dead.

    Returns:
        Whether this process now is the head. It stays so until it ends.

    Raises:
        LabmillError: the folder cannot be written to.
    """
    file = directory / HEAD
    with writing(file):
        file.parent.mkdir(exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{socket.gethostname()} {os.getpid()}\n".encode())
    _held.append(descriptor)
    shutil.rmtree(file.parent / "locks", ignore_errors=True)
    return True
