"""Odd places: paths with spaces, copied checkouts, users without a name, full disks."""

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import pytest
from test_reruns import library  # noqa: F401  a fixture

from helpers.workflow_run import ROOT, TINY, Mill
from labmill.core.errors import LabmillError
from labmill.core.lock import ControllerLocks
from labmill.workflow.controller import check_writable


def test_a_checkout_and_an_interpreter_in_a_path_with_a_space(
    mill: Mill,
    library: Path,  # noqa: F811
):
    root = library.rename(library.with_name("lab mill"))
    home = mill.directory / "with a space"
    (home / "bin").mkdir(parents=True)
    python = home / "bin" / "python"
    python.symlink_to(Path(sys.executable).resolve())
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", home / "pyvenv.cfg")
    packages = sysconfig.get_path("purelib")
    environment = mill.environment(root) | {"PYTHONPATH": f"{root}/src:{packages}"}
    work = Mill(mill.directory / "my work")
    work.directory.mkdir()
    work.write(TINY)
    command = work.command("results/tiny/split.npz", root=root)
    done = subprocess.run(
        [str(python), *command[1:]],
        cwd=work.directory,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (work.directory / "results/tiny/split.npz").exists()


NAMELESS = """
import pwd, sys
def getpwuid(number):
    raise KeyError(f"getpwuid(): uid not found: {number}")
pwd.getpwuid = getpwuid
"""
BEGINNINGS = {
    "snakemake": "from snakemake.cli import main; main(sys.argv[1:])",
    "labmill": "from labmill.cli import main; sys.exit(main(['plan', 'tiny']))",
}


@pytest.mark.parametrize("program", BEGINNINGS)
def test_a_user_without_a_name(mill: Mill, program: str):
    """As below `docker run --user 54321`; Snakemake itself needs a home folder."""
    mill.write(TINY)
    environment = mill.environment()
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        environment.pop(name, None)
    if program == "labmill":
        environment.pop("HOME", None)
    _, _, _, *arguments = mill.command("results/tiny/split.npz")
    done = subprocess.run(
        [sys.executable, "-c", NAMELESS + BEGINNINGS[program], *arguments],
        cwd=mill.directory,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("home", [None, "/nonexistent"])
def test_make_gives_a_user_without_a_home_one(tmp_path: Path, home: str | None):
    checkout = small_checkout(tmp_path / "checkout")
    environment = {k: v for k, v in os.environ.items() if k != "HOME"}
    environment |= {"HOME": home} if home else {}
    done = make(checkout, "study", "NAME=x", environment=environment)
    assert done.returncode == 0, done.stderr
    assert f"HOME={checkout}/.home" in done.stdout


def small_checkout(folder: Path) -> Path:
    """A Makefile with an environment whose snakemake says how it was called."""
    (folder / ".venv/bin").mkdir(parents=True)
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("snakemake", "labmill"):
        program = folder / ".venv/bin" / name
        program.write_text('#!/bin/sh\necho "HOME=$HOME"\nprintf "<%s>\\n" "$@"\n')
        program.chmod(0o755)
    (folder / ".venv/bin/activate").write_text(f'VIRTUAL_ENV="{folder}/.venv"\n')
    (folder / ".venv/.ready").touch()
    return folder


def make(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("arguments", "target"),
    [
        (("study", "NAME=tiny"), "results/tiny/report.html"),
        (("study", "NAME=studies/tiny.yaml"), "results/tiny/report.html"),
        (("study", "NAME=tiny.yaml", "SCALE=smoke"), "results/smoke/tiny/report.html"),
        (("study", "NAME=my study"), "results/my study/report.html"),
        (("study", "NAME=tiny", "SCALE="), "results/tiny/report.html"),
        (("quickstart", "SCALE=smoke"), "results/smoke/quickstart/report.html"),
        (("verify", "NAME=studies/tiny.yaml", "SCALE=laptop"), "laptop/tiny"),
        (("plan", "NAME=my study"), "my study"),
        (("capsule", "NAME=tiny", "SCALE=smoke"), "smoke/tiny"),
    ],
)
def test_make_hands_on_name_and_scale(tmp_path: Path, arguments: tuple, target: str):
    done = make(small_checkout(tmp_path / "checkout"), *arguments)
    assert done.returncode == 0, done.stderr
    assert f"<{target}>" in done.stdout


@pytest.mark.parametrize("way", ["copied", "moved", "linked"])
def test_make_sets_up_an_environment_of_another_folder_again(tmp_path: Path, way: str):
    first, second = small_checkout(tmp_path / "first"), tmp_path / "second"
    if way == "copied":
        shutil.copytree(first, second, symlinks=True)
    elif way == "moved":
        first.rename(second)
    else:
        shutil.copytree(first, second, ignore=shutil.ignore_patterns(".venv"))
        (second / ".venv").symlink_to(first / ".venv")
    (second / "scripts").mkdir()
    setup = (ROOT / "scripts/setup.py").read_text()
    before, after = setup.split('    if not (VENV / "bin" / "uv").exists():')
    stub = '    VENV.mkdir(exist_ok=True)\n    print("set up")\n\n\n'
    (second / "scripts/setup.py").write_text(
        before + stub + after[after.index("def remove_foreign") :]
    )
    done = make(second, "plan", "NAME=x")
    assert "set up" in done.stdout, done.stdout + done.stderr
    assert not (second / ".venv/bin").exists(), "the other folder's is gone"
    assert (way == "moved") or (first / ".venv/bin/activate").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_named_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
):
    monkeypatch.chdir(tmp_path)
    Path("results/x").mkdir(parents=True)
    real = tempfile.NamedTemporaryFile

    def full(*, dir: Path, **more: str):
        if str(dir) == "results/x":
            raise OSError(number, os.strerror(number))
        return real(dir=dir, **more)

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", full)
    with pytest.raises(LabmillError, match=f"results/x: .*{os.strerror(number)}"):
        check_writable(["results/x"])
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", real)
    check_writable(["results/x"])
    assert [*Path().rglob("*")] == [Path("results"), Path("results/x")]


def test_a_file_system_without_locks_works_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    def flock(*_: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fcntl, "flock", flock)
    locks = ControllerLocks()
    locks.remove_stale()
    locks.claim("tiny")
    assert capsys.readouterr().err.count("no file locks") == 1


HOLDER = """
import sys, time
from labmill.core.lock import ControllerLocks
locks = ControllerLocks()
locks.remove_stale()
locks.claim(sys.argv[1])
print("holds", flush=True)
time.sleep(300)
"""


@pytest.mark.parametrize("study", ["tiny", "other"])
def test_a_second_controller_names_the_first_and_since_when(mill: Mill, study: str):
    """Of the same study, or of another one that makes the same files."""
    mill.write(TINY)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, study],
        cwd=mill.directory,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout and first.stdout.readline() == "holds\n"
        locks = mill.directory / ".snakemake/locks"
        locks.mkdir(parents=True, exist_ok=True)
        (locks / "0.output.lock").write_text("results/tiny/split.npz\n")
        done = mill.run("results/tiny/split.npz")
        first.kill()
    assert done.returncode == 1
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith(f"Error: {study}: process {first.pid} on "), done.stdout
    assert time.strftime(" since %Y-") in last and "same command again" in last
    assert "unlock" not in done.stdout and "Traceback" not in done.stdout
