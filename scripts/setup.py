"""Create .venv and install exactly requirements.lock into it. Needs only Python.

`TORCH=cpu` takes PyTorch's CPU builds instead of the locked ones, for machines without an
NVIDIA GPU; the choice is kept for later calls.
"""

import os
import pty
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
CHOICE = VENV / ".torch"
# Packages that have CPU builds, and those that only the others need.
CPU_BUILDS = ("torch", "torchvision")
ONLY_GPU = re.compile(r"(nvidia|cuda)-|triton$")


def main() -> None:
    """Create the environment, then let the pinned uv bring it to the lock's state."""
    if sys.version_info < (3, 11):
        sys.exit(
            f"labmill needs Python 3.11 or newer; this is {sys.version.split()[0]}"
        )
    remove_foreign()
    kept = CHOICE.read_text() if CHOICE.exists() else ""
    torch = os.environ.get("TORCH") or kept or "default"
    if torch not in ("cpu", "default"):
        sys.exit(f"TORCH: found {torch!r}; allowed: cpu, default")
    if not (VENV / "bin" / "uv").exists():
        venv.create(VENV, with_pip=True)
        only_uv = VENV / "uv.lock"
        only_uv.write_text(locked()["uv"])
        # Twice: its errors, but no warnings about this machine's settings.
        run("-m", "pip", "install", "-qq", "--require-hashes", "-r", str(only_uv))
    size = "1 GB" if torch == "cpu" or sys.platform != "linux" else "5 GB"
    print(f"Installing PyTorch and what labmill needs into .venv, about {size}")
    for command in commands(torch):
        run(*command)
    CHOICE.write_text(torch)


def locked() -> dict[str, str]:
    """Return the lines of each package in the lock, by its name."""
    entries = re.split(r"^(?=\S)", LOCK.read_text(), flags=re.M)
    return {entry.partition("==")[0]: entry for entry in entries if "==" in entry}


def commands(torch: str) -> list[list[str]]:
    """Return the calls of uv that install everything.

    Args:
        torch: `cpu` or `default`.
    """
    install, sync = ["-m", "uv", "pip", "install"], ["-m", "uv", "pip", "sync"]
    checkout = [*install, "--no-deps", "--editable", str(ROOT)]
    if torch != "cpu":
        return [[*sync, "--require-hashes", str(LOCK)], checkout]
    packages = locked()
    builds = [packages.pop(name).split()[0] for name in CPU_BUILDS]
    others = VENV / "cpu.lock"
    others.write_text(
        "".join(text for name, text in packages.items() if not ONLY_GPU.match(name))
    )
    cpu = [*install, "--no-deps", "--torch-backend", "cpu", *builds]
    return [[*sync, "--require-hashes", str(others)], cpu, checkout]


def remove_foreign() -> None:
    """Remove a .venv that was made in another folder: its programs run that one's code."""
    activate = VENV / "bin" / "activate"
    ours = rf"VIRTUAL_ENV=.?{re.escape(str(VENV))}\b"
    if VENV.is_symlink():
        VENV.unlink()
    elif VENV.exists() and not (
        activate.is_file() and re.search(ours, activate.read_text())
    ):
        print(f"{VENV} was set up in another folder: setting it up again")
        shutil.rmtree(VENV)


def run(*arguments: str) -> None:
    """Run the environment's Python; stop with its exit code when it fails.

    On a terminal uv shows a bar for each large package, with its size.
    """
    command = [str(PYTHON), *arguments]
    shows = "uv" in arguments and sys.stderr.isatty()
    if "uv" in arguments and not shows:
        command.append("--quiet")
    status = in_terminal(command) if shows else subprocess.call(command, env=quiet())
    if status:
        sys.exit(status)


def in_terminal(command: list[str]) -> int:
    """Run a command that draws bars; return its status.

    The list of all installed packages, which uv prints at the end, is left out.
    """
    own, theirs = pty.openpty()
    columns, lines = shutil.get_terminal_size()
    environment = quiet() | {"COLUMNS": str(columns), "LINES": str(lines)}
    child = subprocess.Popen(command, stderr=theirs, env=environment, cwd=ROOT)
    os.close(theirs)
    listed = False
    while True:
        try:
            text = os.read(own, 65536)
        except OSError:  # the command has ended
            break
        if not text:
            break
        before, mark, _ = text.partition(b"Installed ")
        if not listed:
            os.write(2, before)
        listed = listed or bool(mark)
    os.close(own)
    return child.wait()


def quiet() -> dict[str, str]:
    """Return an environment in which pip and uv print no warnings."""
    found = dict(os.environ) | {
        # Not one that is active in the user's shell.
        "VIRTUAL_ENV": str(VENV),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
    found.pop("CONDA_PREFIX", None)
    if Path.home().stat().st_dev != ROOT.stat().st_dev:
        found.setdefault("UV_LINK_MODE", "copy")  # links cannot leave a file system
    return found


if __name__ == "__main__":
    main()
