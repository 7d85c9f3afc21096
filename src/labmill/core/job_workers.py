"""Run jobs' scripts in forks of warm processes (`labmill.core.job_worker`)."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from threading import Lock

WORKER = [sys.executable, "-P", "-m", "labmill.core.job_worker"]


class JobWorkers:
    """The warm processes of one Snakemake, one for each environment of its jobs.

    Libraries read their numbers of threads from the environment when they are loaded.
    """

    def __init__(self) -> None:
        self.workers: dict[tuple[tuple[str, str], ...], JobWorker] = {}
        self.lock = Lock()

    def run(
        self,
        script: str,
        environment: Mapping[str, str],
        watching: Callable[[int], AbstractContextManager[object]],
    ) -> int | None:
        """Run a script to its end in a fork of a worker.

        Args:
            script: its path.
            environment: the variables that differ from this process's.
            watching: called with the fork's process id; entered while it runs.

        Returns:
            Its exit status; None if it must be run without a worker, because that died.
        """
        key = tuple(sorted(environment.items()))
        with self.lock:
            if key not in self.workers:
                self.workers[key] = JobWorker(environment)
        return self.workers[key].run(script, watching)

    def close(self) -> None:
        """End all workers, and what may still run in them."""
        for worker in self.workers.values():
            worker.close()


class JobWorker:
    """One warm process.

    Args:
        environment: the variables that differ from this process's.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.lock = Lock()
        self.client, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [*WORKER, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **environment},
                # As for a job's shell: a terminal's signals are the controller's.
                preexec_fn=ignore_terminal,
            )

    def run(
        self, script: str, watching: Callable[[int], AbstractContextManager[object]]
    ) -> int | None:
        """Run a script; see `JobWorkers.run`."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs, suppress(OSError), self.lock:
                socket.send_fds(self.client, [script.encode()], [theirs.fileno()])
            with ours.makefile() as answers:
                if pid := answers.readline():
                    with watching(int(pid)), suppress(OSError):
                        ours.sendall(b"\n")
                        if status := answers.readline():
                            return int(status)
        # After SIGTERM, which it may receive before it handles it, nothing may start.
        stopped = self.process.wait() in (0, -signal.SIGTERM)
        return -signal.SIGTERM if stopped else None

    def close(self) -> None:
        """End the process."""
        self.client.close()
        self.process.wait()


def ignore_terminal() -> None:
    """Ignore Ctrl-C and a closed terminal."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
