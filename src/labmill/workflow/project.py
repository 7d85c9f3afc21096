"""A working directory for a user's studies: labmill init, labmill run."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labmill.core.errors import LabmillError
from labmill.core.paths import CHECKOUT, PACKAGE, project_file
from labmill.study.yaml_source import YamlSource
from labmill.workflow.config import changes_as_text
from labmill.workflow.controller import JOBS_FAILED

TEMPLATE = PACKAGE / "project_template"
# Of labmill's own working directory, what a new one has too.
COPIED = ("config.yaml", "profiles")


def init(folder: Path) -> list[Path]:
    """Write a new working directory; return its files.

    Raises:
        LabmillError: the folder has content.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise LabmillError(f"{folder}: exists and is not empty; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    ignored = shutil.ignore_patterns("__pycache__", "site.yaml")
    for name in COPIED:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    config = folder / "config.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("[quickstart]", "[mine]"), encoding="utf-8")
    shutil.copytree(TEMPLATE, folder, ignore=ignored, dirs_exist_ok=True)
    (folder / "gitignore").rename(folder / ".gitignore")
    return sorted(
        path.relative_to(folder) for path in folder.rglob("*") if path.is_file()
    )


def command(target: str, profile: str, more: Sequence[str] = ()) -> list[str]:
    """Return the Snakemake command that makes a file in the working directory."""
    config = Path("config.yaml")
    own = config.is_file() and config.resolve() != (CHECKOUT / "config.yaml").resolve()
    if own:
        YamlSource(config, empty=True)  # Snakemake's own messages are tracebacks
    return [
        *(sys.executable, "-m", "snakemake", target),
        *("--snakefile", str(CHECKOUT / "Snakefile")),
        *("--profile", str(project_file(profile))),
        *(("--configfile", str(config)) if own else ()),
        *more,
    ]


def run(
    study_path: str,
    profile: str,
    more: Sequence[str] = (),
    changes: Mapping[str, Any] | None = None,
) -> int:
    """Build a study's report; where jobs failed for good, that of the others.

    Args:
        study_path: `mine` or `smoke/mine`.
        profile: folder of a Snakemake profile.
        more: further arguments of Snakemake.
        changes: of the study's settings, by dotted key.

    Returns:
        Snakemake's exit status.
    """
    report = f"results/{study_path}/report.html"
    config = [f"set={changes_as_text(changes)}"] if changes else []
    given = [*more, *(["--config", *config] if config else [])]
    # Ctrl-C is Snakemake's, which inherits no handler: it stops the jobs and says so.
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    status = call(command(report, profile, given))
    if status < 0:
        # Its view is still on the screen, with a hidden cursor.
        shown = "\x1b[?25h" if sys.stderr.isatty() else ""
        print(
            f"{shown}\nSnakemake was ended by {signal.Signals(-status).name}. Finished "
            "results are kept; the same command continues.",
            file=sys.stderr,
        )
    if status == JOBS_FAILED and Path(f"results/{study_path}/split.npz").exists():
        given = [*more, "--config", *config, "partial=true"]
        call(command(report, profile, given))
    signal.signal(signal.SIGINT, before)
    return status


def call(arguments: Sequence[str]) -> int:
    """Run Snakemake, hand SIGTERM on to it, and return its exit status.

    A terminal sends its signals to both processes; `kill` and a batch system do not.
    """
    with subprocess.Popen(arguments) as snakemake:
        before = signal.signal(
            signal.SIGTERM, lambda number, frame: snakemake.send_signal(number)
        )
        status = snakemake.wait()
    signal.signal(signal.SIGTERM, before)
    return status
