"""The log of a job, and its end: one message for a mistake, a traceback for a fault."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from labmill.core.errors import LabmillError
from labmill.core.files import writing
from labmill.core.paths import MAIN_PROCESS
from labmill.core.progress import close_state, open_state
from labmill.core.project import own_fault

log = logging.getLogger("labmill")
ERROR = "Error: "
# Set for the jobs of a call whose view shows them (labmill.watch).
QUIET_JOBS = "LABMILL_QUIET_JOBS"


@contextmanager
def logged(path: str | Path) -> Iterator[None]:
    """Send log records and warnings to the rule's log file and to stderr.

    A LabmillError ends the job with its message alone, and so does what the user's own
    code raises; any other exception is written to the log with its traceback. Both end with exit code 1, and a retry of a job that
    ended with a LabmillError does so at once. A job that asks to be run again raises
    SystemExit itself.
    """
    path = Path(path)
    if is_settled(path):
        sys.exit(1)
    # On a full disk a line is lost rather than a traceback printed for it.
    logging.raiseExceptions = False
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            open_state(path)
            to_file = logging.FileHandler(path, mode="w")
    except LabmillError as error:
        sys.exit(f"{ERROR}{error}")
    quiet = bool(os.environ.get(QUIET_JOBS))
    # Where a view shows all jobs, their own lines would only disturb it.
    screen = logging.NullHandler() if quiet else logging.StreamHandler(sys.stderr)
    handlers: list[logging.Handler] = [to_file, screen]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    # Lines of jobs that run at the same time share the screen: name the job in each.
    name = f"{path.parent.name} {path.stem.partition('.')[2] or path.stem}".strip()
    screen.setFormatter(
        logging.Formatter(f"%(asctime)s {name} · %(message)s", "%H:%M:%S")
    )
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(logging.WARNING)
    log.setLevel(logging.INFO)
    # Warns where CUDA's compiler is installed and no GPU.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    logging.captureWarnings(True)
    warnings.simplefilter("default")
    failed: str | None = None
    try:
        yield
    except LabmillError as error:
        failed = str(error)
        # Snakemake prints the log of a failed job; stderr would repeat it.
        root.removeHandler(screen)
        log.error(ERROR + "%s", error)
        sys.exit(1)
    except Exception as error:
        failed = f"{type(error).__name__}: {error}"
        root.removeHandler(screen)
        if fault := own_fault(error):
            log.error(ERROR + "%s", fault)
            sys.exit(1)
        log.exception("The job failed")
        if not quiet:
            print(failed, file=sys.stderr)
        sys.exit(1)
    finally:
        close_state(failed)
        for handler in handlers:
            with suppress(OSError):
                handler.flush()


def is_settled(path: Path) -> bool:
    """Return True if the job failed by a mistake since the main process started.

    A retry would fail again: only the user can correct it.
    """
    if not (path.is_file() and MAIN_PROCESS.is_file()):
        return False
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    failed = any(line.partition(" ")[2].startswith(ERROR) for line in lines)
    return failed and path.stat().st_mtime > MAIN_PROCESS.stat().st_mtime
