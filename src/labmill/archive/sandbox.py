"""Run code that is not trusted: without network, with a separate home and separate files."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labmill.core.paths import PACKAGE

MEMORY_LIMIT = 16 << 30  # bytes of one process of untrusted code
ISOLATED = (
    "the archive's code runs in a sandbox (bubblewrap): no network, a separate "
    "home and temporary folder, everything else read-only"
)
OPEN = "the archive's code runs WITHOUT a sandbox, with your rights: {why}"


@dataclass(frozen=True)
class Sandbox:
    """How a command is isolated.

    Attributes:
        prefix: what precedes the command; empty where nothing isolates it.
    """

    prefix: tuple[str, ...]
    told: str  # one sentence for whoever called it


def sandbox(folder: Path, readable: Sequence[Path] = ()) -> Sandbox:
    """Return a sandbox in which only `folder` can be written.

    Args:
        folder: the working directory.
        readable: what must be seen although it may lie in a home or temporary folder.
    """
    program = shutil.which("bwrap")
    if program is None:
        return Sandbox((), OPEN.format(why="bubblewrap is not installed"))
    hidden = {Path("/tmp"), Path("/run"), Path.home()}
    prefix = [program, "--unshare-all", "--die-with-parent", "--new-session"]
    prefix += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    for place in sorted(hidden):
        if place.is_dir() and place != Path("/"):
            prefix += ["--tmpfs", str(place)]
    # Of a checkout below the user's home, Snakemake needs labmill's logger plugin.
    installed = {Path(sys.prefix), Path(sys.base_prefix), PACKAGE.parent}
    for place in [*sorted(installed), *readable]:
        prefix += ["--ro-bind", str(place.resolve()), str(place.resolve())]
    prefix += ["--bind", str(folder), str(folder), "--chdir", str(folder)]
    tried = subprocess.run([*prefix, "true"], capture_output=True, text=True)
    if tried.returncode:
        why = (tried.stderr.strip().splitlines() or ["bubblewrap fails"])[-1]
        return Sandbox((), OPEN.format(why=why))
    return Sandbox(tuple(prefix), ISOLATED)


def bare_environment() -> dict[str, str]:
    """Return an environment without the caller's secrets."""
    kept = ("PATH", "LANG", "LC_ALL", "OMP_NUM_THREADS", "HOME")
    return {name: os.environ[name] for name in kept if name in os.environ}
