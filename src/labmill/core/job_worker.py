"""A process that has imported torch once and forks for every job.

Python and torch need two seconds to start, more than many jobs compute. `JobWorkers`
(`labmill.core.job_workers`) starts this module with one end of a socket; each message on
it is the path of a job's script, with a socket of that job's own:

    worker → `<pid>` of the fork, `<exit status>` when it has ended
    client → one byte: begin

The worker imports what a script imports before it forks, never runs any of it, and has
one thread. Its end is that of its forks, and the client's end is the end of both.
"""

import ast
import atexit
import gc
import importlib
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from labmill.core.processes import end_with_parent

MESSAGE = 4096  # bytes; paths are shorter


def serve(client: socket.socket) -> str | None:
    """Fork for every message; return a script in each fork, None when all is done.

    SIGTERM goes to the forks too, so it only means here that no job follows.
    """
    ending = False
    jobs: dict[int, socket.socket] = {}

    def end(number: int, frame: object) -> None:
        nonlocal ending
        ending = True
        if not jobs:
            os._exit(0)  # in the middle of an import

    wakes, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    while jobs or not ending:
        ready, _, _ = select.select([client.fileno(), wakes], [], [])
        if wakes in ready:
            os.read(wakes, MESSAGE)
            report_ended(jobs)
        if client.fileno() not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(client, MESSAGE, 1)
        if not message:  # the client has ended
            for pid in jobs:
                os.kill(pid, signal.SIGKILL)
            return None
        job, script = socket.socket(fileno=descriptors[0]), message.decode()
        import_modules(script)
        if ending:
            job.close()
            continue
        # The forks' garbage collector leaves alone what is imported, and so its memory.
        gc.freeze()
        parent = os.getpid()
        # A signal between fork and the reset of its handler would be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        if pid := os.fork():
            jobs[pid] = job
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            job.sendall(b"%d\n" % pid)
            continue
        end_with_parent(parent)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        for other in (client, *jobs.values()):
            other.close()
        os.close(wakes)
        os.close(wake)
        # Stays open to the end: the client reads an end of file when this process and
        # the worker are both gone.
        os.dup(job.fileno())
        return script if job.recv(1) else None
    return None


def report_ended(jobs: dict[int, socket.socket]) -> None:
    """Send the exit status of every fork that has ended."""
    for pid in list(jobs):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with jobs.pop(pid) as job, suppress(OSError):
                job.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def import_modules(script: str) -> None:
    """Import the modules that a script imports at its top.

    What fails here fails again in the fork, which reports it.
    """
    with suppress(Exception):
        for node in ast.parse(Path(script).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module:
                importlib.import_module(node.module)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    importlib.import_module(alias.name)


def run(script: str) -> NoReturn:
    """Run a script as Python's command line does, and end this process.

    Python's own end would take apart all that the worker imported, which copies its
    memory and costs more than many jobs.
    """
    sys.argv[:] = [script]
    sys.path.insert(0, str(Path(script).parent.resolve()))
    status = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for the job's threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    found = serve(socket.socket(fileno=int(sys.argv[1])))
    if found is not None:
        run(found)
    os._exit(0)  # as in `run`: Python's own end takes seconds
