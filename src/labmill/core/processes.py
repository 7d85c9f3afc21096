"""Child processes with limits of time and memory, which end with their parent."""

import ctypes
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, TypeVar

from labmill.core.errors import LabmillError

T = TypeVar("T")
TIME_LIMIT = 120.0  # seconds
MEMORY_LIMIT = 4 << 30  # bytes
PR_SET_PDEATHSIG = 1
# Loaded here: between fork and exec nothing may be imported.
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class TimeLimitError(LabmillError):
    """A command was not finished in time; `errors` is what it wrote until then."""

    def __init__(self, message: str, errors: bytes) -> None:
        super().__init__(message)
        self.errors = errors


def lives(pid: int, at: float) -> bool:
    """Return True if the process that had a number at a time, in seconds, still runs.

    Numbers are used again, and a dead process keeps its own until it is waited for.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        # A minute: files tell no seconds, and clocks are set.
        own = process.create_time() < at + 60
        return own and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ValueError):  # no process has a negative number
        return False


def run(
    command: Sequence[str],
    *,
    what: str,
    text: str | None = None,
    timeout: float = TIME_LIMIT,
    memory: int | None = MEMORY_LIMIT,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end and return its output, whatever its exit code.

    `what` names it in messages. `memory` limits each of its processes; None is no
    limit.

    Raises:
        TimeLimitError: the time is over.
    """
    parent = os.getpid()
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: restrict(parent, memory),
    )
    try:
        given = None if text is None else text.encode()
        output, errors = child.communicate(given, timeout)
    except subprocess.TimeoutExpired as late:
        message = f"{what}: not finished after {timeout:g} s"
        raise TimeLimitError(message, late.stderr or b"") from None
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    return subprocess.CompletedProcess(command, child.returncode, output, errors)


def restrict(parent: int, memory: int | None) -> None:
    """Limit the memory of this process, and let it end with its parent."""
    if memory is not None:
        # Not the address space: Haskell's runtime reserves a terabyte of that.
        _, allowed = resource.getrlimit(resource.RLIMIT_DATA)
        if allowed != resource.RLIM_INFINITY:
            memory = min(memory, allowed)
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    end_with_parent(parent)


def end_with_parent(parent: int) -> None:
    """Let this process be killed when its parent ends."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the line above
            os._exit(1)


def call(
    function: Callable[..., T],
    *arguments: Any,
    what: str,
    timeout: float = TIME_LIMIT,
    memory: int = MEMORY_LIMIT,
) -> T:
    """Call a function in a forked process with limits, and return its result.

    `what` names it in messages. `memory` is what it may use beyond this process's.
    """
    calls = {what: arguments}
    _, result = next(call_each(function, calls, timeout=timeout, memory=memory))
    if isinstance(result, LabmillError):
        raise result
    return result


def call_each(
    function: Callable[..., T],
    calls: Mapping[str, Sequence[Any]],
    *,
    timeout: float = TIME_LIMIT,
    memory: int = MEMORY_LIMIT,
    jobs: int = 1,
) -> Iterator[tuple[str, T | LabmillError]]:
    """Call a function with several arguments, each time in a process with limits.

    Yield the name of a call and its result or error, as they finish.
    """
    waiting = list(calls.items())[::-1]
    running: dict[Connection, Call] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                name, arguments = waiting.pop()
                started = Call(name, timeout, memory, function, arguments)
                running[started.receiver] = started
            due = min(one.deadline for one in running.values())
            wait(list(running), max(0.0, due - time.monotonic()))
            for receiver, one in list(running.items()):
                if receiver.poll() or time.monotonic() >= one.deadline:
                    del running[receiver]
                    yield one.name, one.result()
    finally:
        for one in running.values():
            one.end()


class Call:
    """A call in a forked process that has been started."""

    def __init__(
        self,
        name: str,
        timeout: float,
        memory: int,
        function: Callable[..., Any],
        arguments: Sequence[Any],
    ) -> None:
        self.name, self.timeout = name, timeout
        self.deadline = time.monotonic() + timeout
        context = multiprocessing.get_context("fork")
        self.receiver, sender = context.Pipe(duplex=False)
        limit = memory + data_size()
        self.process = context.Process(
            target=answer, args=(sender, os.getpid(), limit, function, arguments)
        )
        self.process.start()
        sender.close()

    def result(self) -> Any:
        """Return what the function returned, or a LabmillError; end the process."""
        try:
            if not self.receiver.poll():
                return LabmillError(
                    f"{self.name}: not finished after {self.timeout:g} s"
                )
            result = self.receiver.recv()
        except EOFError:
            return LabmillError(f"{self.name}: needs too much memory, or crashed")
        finally:
            self.end()
        return result if isinstance(result, LabmillError) else result[0]

    def end(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.receiver.close()


def answer(
    sender: Connection,
    parent: int,
    memory: int,
    function: Callable[..., Any],
    arguments: Sequence[Any],
) -> None:
    """Send the result of a call to the process that waits for it."""
    restrict(parent, memory)
    try:
        result: Any = (function(*arguments),)
    except LabmillError as error:
        result = error
    except MemoryError:
        result = LabmillError("needs too much memory")
    except BaseException as error:
        result = LabmillError(f"{type(error).__name__}: {error}")
    sender.send(result)


def data_size() -> int:
    """Return the bytes of data that this process has, as its memory limit counts them."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    sizes = [line.split()[1] for line in lines if line.startswith("VmData:")]
    return 1024 * int(sizes[0]) if sizes else 0
