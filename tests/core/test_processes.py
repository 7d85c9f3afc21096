"""Child processes are bounded in time and memory, and none outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labmill.core import processes
from labmill.core.errors import LabmillError

PYTHON = [sys.executable, "-S", "-c"]


def alive(pid: int) -> bool:
    """Return True if a process runs."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for_end(pid: int) -> None:
    """Wait a little for a process to end."""
    until = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < until, "still running"
        time.sleep(0.05)


def test_output_and_exit_code():
    done = processes.run(
        [*PYTHON, "import sys; print(input()); sys.exit(3)"], what="x", text="hello"
    )
    assert (done.returncode, done.stdout) == (3, b"hello\n")


def test_a_command_that_never_ends_is_killed_with_its_children(tmp_path: Path):
    note = tmp_path / "pid"
    command = ["sh", "-c", f"sleep 600 & echo $! > {note}; wait"]
    with pytest.raises(LabmillError, match="sleeper: not finished after 1 s"):
        processes.run(command, what="sleeper", timeout=1)
    wait_for_end(int(note.read_text()))


def test_memory_of_a_command_is_bounded():
    code = "b = bytearray(300 << 20)"
    done = processes.run([*PYTHON, code], what="x", memory=200 << 20)
    assert done.returncode and b"MemoryError" in done.stderr
    assert processes.run([*PYTHON, code], what="x").returncode == 0


def test_a_command_ends_with_its_parent(tmp_path: Path):
    note = tmp_path / "pid"
    inner = (
        "import os, time; "
        f"open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    )
    outer = (
        "import sys; from labmill.core import processes; "
        f"processes.run([sys.executable, '-S', '-c', {inner!r}], what='x')"
    )
    parent = subprocess.Popen([sys.executable, "-c", outer])
    until = time.monotonic() + 30
    while not (note.is_file() and note.read_text()):
        assert time.monotonic() < until
        time.sleep(0.05)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_for_end(int(note.read_text()))


def fail() -> None:
    """Raise what a bug raises."""
    raise KeyError("no such thing")


def refuse() -> None:
    """Raise what a wrong file raises."""
    raise LabmillError("x.json: no JSON")


def test_call_returns_the_result_or_one_message():
    assert processes.call(sorted, [3, 1, 2], what="x") == [1, 2, 3]
    with pytest.raises(LabmillError, match=r"^x\.json: no JSON$"):
        processes.call(refuse, what="x")
    with pytest.raises(LabmillError, match="KeyError: 'no such thing'"):
        processes.call(fail, what="x")
    with pytest.raises(LabmillError, match=r"naps: not finished after 0\.2 s"):
        processes.call(time.sleep, 60, what="naps", timeout=0.2)
    with pytest.raises(LabmillError, match="too much memory"):
        processes.call(bytearray, 300 << 20, what="x", memory=100 << 20)
    with pytest.raises(LabmillError, match="crashed"):
        processes.call(os._exit, 1, what="x")


def test_several_calls_at_once_none_stops_the_others():
    calls = {"a": (0.0,), "b": (60.0,), "c": ("x",), "d": (0.1,)}
    began = time.monotonic()
    found = dict(processes.call_each(time.sleep, calls, timeout=1, jobs=2))
    assert found.keys() == calls.keys() and time.monotonic() - began < 20
    assert found["a"] is None and found["d"] is None
    assert "not finished after 1 s" in str(found["b"])
    assert "TypeError" in str(found["c"])


def test_a_process_lives_until_it_is_dead():
    child = subprocess.Popen(["sleep", "60"])
    assert processes.lives(child.pid, time.time())
    assert not processes.lives(child.pid, time.time() - 3600), (
        "an older process had this number"
    )
    child.kill()
    while Path(f"/proc/{child.pid}/stat").read_text().split()[2] != "Z":
        time.sleep(0.01)
    assert not processes.lives(child.pid, time.time()), "dead, and not waited for"
    child.wait()
    assert not processes.lives(child.pid, time.time())
