"""A study in a real terminal: its lines, another size, Ctrl-C, and how to continue."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable

import psutil

from helpers.patience import SLOW
from helpers.workflow_run import TINY, Mill

STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Screen:
    """A pseudo-terminal with a program in it."""

    def __init__(self, command: list[str], **options) -> None:
        self.own, theirs = pty.openpty()
        self.resize(80, 24)
        self.program = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=self.control,
            **options,
        )
        os.close(theirs)
        self.raw = ""

    @staticmethod
    def control() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(
            self.own, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0)
        )

    def wait(self, done: Callable[[str], bool], seconds: float = 300) -> str:
        """Read until a condition on the text holds, or the program has ended."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not done(self.text):
            if select.select([self.own], [], [], 0.2)[0]:
                try:
                    self.raw += os.read(self.own, 65536).decode(errors="replace")
                except OSError:  # it has ended
                    break
        return self.text

    @property
    def text(self) -> str:
        return STYLE.sub("", self.raw)


LONG = {"epochs": 4000, "batch_size": 32, "learning_rate": 1e-3, "compile": "off"}


def test_watch_continues_when_the_main_process_is_killed(mill: Mill):
    mill.write(TINY | {"defaults": TINY["defaults"] | {"training": LONG}})
    environment = mill.environment() | {"TERM": "xterm", "COLUMNS": "80"}
    main = subprocess.Popen(
        mill.command("results/tiny/report.html"),
        cwd=mill.directory,
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    watch = [sys.executable, "-m", "labmill.cli", "watch", "tiny"]
    screen = Screen(watch, cwd=mill.directory, env=environment)
    try:
        text = screen.wait(lambda text: bool(re.search(r"seed \d +\d+/4000", text)))
        assert f"process {main.pid}" in text
        screen.raw = ""  # it may have looked before the study began, and said the same
        main.kill()  # not waited for: the dead process is still in the system's table
        idle = "nothing runs; labmill run tiny continues"
        assert idle in screen.wait(lambda text: idle in text, 120)
        assert screen.program.poll() is None
        os.write(screen.own, b"\x03")
        assert "No longer watching" in screen.wait(lambda text: "No longer" in text, 60)
    finally:
        main.kill()
        screen.program.kill()


def test_a_study_in_a_terminal(mill: Mill):
    mill.write(TINY | {"defaults": TINY["defaults"] | {"training": LONG}})
    environment = mill.environment() | {"VERBOSE": "", "TERM": "xterm", "NO_COLOR": "1"}
    # As a shell that exports its size: the view follows the window all the same.
    environment |= {"COLUMNS": "80", "LINES": "24"}
    run = [sys.executable, "-m", "labmill.cli", "run", "tiny"]
    screen = Screen(run, cwd=mill.directory, env=environment)
    assert "running" in screen.wait(lambda text: "validation" in text)
    screen.wait(lambda text: bool(re.search(r"train \w+ seed \d +\d+/4000", text)))
    assert re.search(r"train \w+ seed \d +\d+/4000 ", screen.text)
    before = len(screen.raw)
    screen.resize(200, 50)
    screen.wait(lambda text: "\x1b[2J" in screen.raw[before:])
    assert "\x1b[2J" in screen.raw[before:], "nothing is left of the narrow one"
    screen.wait(lambda text: "images/s" in text)
    assert "images/s" in screen.text, "a wide terminal shows more"
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", screen.raw), "NO_COLOR"
    os.write(screen.own, b"\x03")
    asked = time.monotonic()
    text = screen.wait(lambda text: "are kept" in text)
    screen.program.wait(60)
    assert "Stopped by Ctrl-C" in text and "kept; the same command continues." in text
    assert "Traceback" not in text and "Error" not in text
    # Two seconds where the machine is free; the tests share theirs.
    assert time.monotonic() - asked < 15 * SLOW
    assert screen.program.returncode == 130


def test_a_second_run_counts_and_shows_what_is_kept(mill: Mill):
    mill.write(TINY)
    kept = ["results/tiny/cnn/seed0/dense/model.json", "results/tiny/split.npz"]
    assert mill.run(*kept).returncode == 0
    environment = mill.environment() | {"VERBOSE": ""}
    done = subprocess.run(
        [sys.executable, "-m", "labmill.cli", "run", "tiny"],
        cwd=mill.directory,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first, _, _ = done.stderr.partition("18 jobs on")
    assert "Comparing with the results on disk …" in first
    # Download, split, one training.
    assert re.search(r"18 jobs on .*; 3 more are done and kept\.", done.stderr)
    assert "[21/21]" in done.stderr
    assert "21 of 21 jobs done, 18 of them now, in " in done.stderr


def test_a_killed_snakemake_is_not_left_on_the_screen(mill: Mill):
    mill.write(TINY | {"defaults": TINY["defaults"] | {"training": LONG}})
    environment = mill.environment() | {"VERBOSE": "", "TERM": "xterm"}
    run = [sys.executable, "-m", "labmill.cli", "run", "tiny"]
    screen = Screen(run, cwd=mill.directory, env=environment)
    screen.wait(lambda text: bool(re.search(r"train \w+ seed \d +\d+/4000", text)))
    (main,) = psutil.Process(screen.program.pid).children()
    main.kill()
    text = screen.wait(lambda text: "same command continues" in text[-300:], 60)
    assert "Snakemake was ended by SIGKILL" in text
    assert screen.raw.rindex("\x1b[?25h") > screen.raw.rindex("\x1b[?25l"), "a cursor"
    screen.program.wait(60)
    assert screen.program.returncode not in (0, None)
