"""Jobs in forks of a warm process behave as jobs of their own, and end with it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import psutil
import pytest

from labmill.core.job_workers import JobWorkers

# Ways in which a script can end, each with what it writes before.
SCRIPTS = {
    "nothing": "",
    "arguments": "import sys; print(__name__, __file__, sys.argv)",
    "search path": "import sys; print(sys.path[0])",
    "status": "import sys; print('before'); sys.exit(75)",
    "message": "import sys; sys.exit('no quota left')",
    "none": "import sys; sys.exit(None)",
    "error": "raise ValueError('wrong')",
    "syntax": "def",
    "missing import": "import no_such_module",
    "exit function": "import atexit; atexit.register(print, 'at the end')",
    "thread": "from threading import Timer; Timer(0.2, print, ['late']).start()",
    "terminated": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "terminal": "import signal; print(signal.getsignal(signal.SIGINT))",
    "threads": "import os; print(os.environ['OMP_NUM_THREADS'])",
}
THREADS = {"OMP_NUM_THREADS": "3"}


@pytest.fixture
def workers() -> Iterator[JobWorkers]:
    """Workers of one Snakemake."""
    made = JobWorkers()
    yield made
    made.close()


def run(workers: JobWorkers, path: Path, text: str) -> int | None:
    path.write_text(text)
    return workers.run(str(path), THREADS, lambda pid: nullcontext())


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_does_what_it_does_alone(
    name: str, tmp_path: Path, workers: JobWorkers, capfd: pytest.CaptureFixture[str]
):
    path = tmp_path / "script.py"
    path.write_text(SCRIPTS[name])
    alone = subprocess.run(
        ["bash", "-c", f"trap '' INT; exec {sys.executable} {path}"],
        env={**os.environ, **THREADS},
        capture_output=True,
        text=True,
    )
    assert run(workers, path, SCRIPTS[name]) == alone.returncode
    output, errors = capfd.readouterr()
    assert output == alone.stdout
    # A traceback also has the frames of runpy.
    assert errors.splitlines()[-1:] == alone.stderr.splitlines()[-1:]


def test_a_job_does_not_see_what_another_left(tmp_path: Path, workers: JobWorkers):
    path = tmp_path / "script.py"
    assert run(workers, path, "import json, os; json.left = os.environ['L'] = '1'") == 0
    text = "import json, os, sys; sys.exit(hasattr(json, 'left') or 'L' in os.environ)"
    assert run(workers, path, text) == 0


def test_a_module_is_imported_once(tmp_path: Path, workers: JobWorkers):
    count, script = tmp_path / "count", tmp_path / "script.py"
    (tmp_path / "counted.py").write_text(f"open({str(count)!r}, 'a').write('x')")
    script.write_text("import counted")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment, pids = {"PYTHONPATH": path}, []
    for _ in range(3):
        watching = lambda pid: pids.append(pid) or nullcontext()  # noqa: E731
        assert workers.run(str(script), environment, watching) == 0
    assert count.read_text() == "x"
    assert len(set(pids)) == 3


def sleeper(tmp_path: Path, workers: JobWorkers) -> tuple[threading.Thread, list, int]:
    """Start a job that sleeps; return its thread, its result to be, and its process."""
    path, results, pids = tmp_path / "sleep.py", [], []
    path.write_text("import time; time.sleep(60)")

    def work() -> None:
        def watching(pid: int):
            pids.append(pid)
            return nullcontext()

        results.append(workers.run(str(path), THREADS, watching))

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: pids)
    return thread, results, pids[0]


def wait_until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_job_fails_and_the_worker_goes_on(
    number: signal.Signals, tmp_path: Path, workers: JobWorkers
):
    thread, results, pid = sleeper(tmp_path, workers)
    os.kill(pid, number)
    thread.join(60)
    assert results == [-number]
    assert run(workers, tmp_path / "script.py", "") == 0


def test_killed_worker_takes_its_jobs_along(tmp_path: Path, workers: JobWorkers):
    thread, results, pid = sleeper(tmp_path, workers)
    os.kill(psutil.Process(pid).ppid(), signal.SIGKILL)
    thread.join(60)
    assert results == [None]  # to be run without a worker
    wait_until(lambda: not running(pid))
    assert run(workers, tmp_path / "script.py", "") is None


def test_terminated_worker_finishes_its_jobs_and_starts_no_other(
    tmp_path: Path, workers: JobWorkers
):
    thread, results, pid = sleeper(tmp_path, workers)
    os.kill(psutil.Process(pid).ppid(), signal.SIGTERM)
    time.sleep(0.3)
    assert running(pid)
    os.kill(pid, signal.SIGTERM)
    thread.join(60)
    assert results == [-signal.SIGTERM]
    assert run(workers, tmp_path / "script.py", "") == -signal.SIGTERM


@pytest.mark.parametrize("imports", [True, False])
def test_a_worker_that_is_stopped_before_its_first_job_ends_at_once(
    imports: bool, tmp_path: Path, workers: JobWorkers
):
    begun = tmp_path / "begun"
    slow = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(90)"
    (tmp_path / "slow.py").write_text(slow)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    (tmp_path / "script.py").write_text("import slow")
    results: list[int | None] = []

    def work() -> None:
        script, environment = str(tmp_path / "script.py"), {"PYTHONPATH": path}
        results.append(workers.run(script, environment, lambda pid: nullcontext()))

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: workers.workers)
    (worker,) = workers.workers.values()
    wait_until(lambda: begun.exists() or not imports)
    os.kill(worker.process.pid, signal.SIGTERM)
    thread.join(60)
    assert results == [-signal.SIGTERM], "nothing may run instead"


def test_killed_client_takes_worker_and_jobs_along(tmp_path: Path):
    path = tmp_path / "sleep.py"
    path.write_text("import time; time.sleep(60)")
    code = (
        "from labmill.core.job_workers import JobWorkers\n"
        "from contextlib import nullcontext\n"
        "def show(pid): print(pid, flush=True); return nullcontext()\n"
        f"JobWorkers().run({str(path)!r}, {{}}, show)\n"
    )
    client = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert client.stdout is not None
    pid = int(client.stdout.readline())
    worker = psutil.Process(pid).ppid()
    client.kill()
    client.wait()
    wait_until(lambda: not running(pid) and not running(worker))


def running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
