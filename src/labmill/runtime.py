"""What every job needs around its one library call: a log, whole files, a record."""

import errno
import json
import logging
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from labmill.errors import LabmillError
from labmill.fingerprint import digest

log = logging.getLogger("labmill")
# Who runs the workflow in this working directory; written when it starts.
HEAD = Path(".snakemake/labmill-head")
ERROR = "Error: "


@contextmanager
def logged(path: str | Path) -> Iterator[None]:
    """Send log records and warnings to the rule's log file and to stderr.

    A LabmillError ends the job with its message alone; any other exception is written
    to the log with its traceback. Both end with exit code 1, and a retry of a job that
    ended with a LabmillError does so at once. A job that asks to be run again raises
    SystemExit itself.
    """
    path = Path(path)
    if is_settled(path):
        sys.exit(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    handlers = [logging.FileHandler(path, mode="w"), logging.StreamHandler(sys.stderr)]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(logging.WARNING)
    log.setLevel(logging.INFO)
    logging.captureWarnings(True)
    warnings.simplefilter("default")
    try:
        yield
    except LabmillError as error:
        # Snakemake shows the log of a failed job; stderr need not say it twice.
        root.removeHandler(handlers[1])
        log.error(ERROR + "%s", error)
        sys.exit(1)
    except Exception as error:
        root.removeHandler(handlers[1])
        log.exception("The job failed")
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
    finally:
        for handler in handlers:
            handler.flush()


def is_settled(path: Path) -> bool:
    """Whether a job's log says that it failed by a mistake since the head started.

    Run again, it would fail again: only the user can mend it.
    """
    if not (path.is_file() and HEAD.is_file()):
        return False
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    said = any(line.partition(" ")[2].startswith(ERROR) for line in lines)
    return said and path.stat().st_mtime > HEAD.stat().st_mtime


# Why a file cannot be written whoever tries: no space, no right, no such place.
UNWRITABLE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR),
}


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """A full disk, or a place that may not be written to, is a LabmillError."""
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise LabmillError(f"{path}: cannot be written: {error.strerror}") from error


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`; on success flush it to disk and rename it.

    Nobody ever sees half a file, and a crash leaves the old one in place. Raises
    LabmillError where there is no space or no right to write.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=".part"
        )
        try:
            with os.fdopen(
                descriptor, mode, encoding=None if "b" in mode else "utf-8"
            ) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            umask = os.umask(0)
            os.umask(umask)
            Path(temporary).chmod(0o666 & ~umask)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN and infinity become null."""
    with atomic_write(path) as file:
        json.dump(finite(value), file, indent=1, allow_nan=False)
        file.write("\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def finite(value: Any) -> Any:
    """`value` with every non-finite float replaced by None, as JSON has none."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    return value


LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "snakemake", "labmill")


def versions(libraries: tuple[str, ...] = LIBRARIES) -> dict[str, str]:
    """Installed versions, read without importing anything."""
    return {name: version(name) for name in libraries}


def machine() -> dict[str, Any]:
    """The machine in a few words: processor, cores, system, Python."""
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def processor() -> str:
    """The processor's name as Linux gives it, else what Python knows."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def provenance(params: str) -> dict[str, Any]:
    """A job's record from its params, with versions, machine and date added."""
    record = json.loads(params)
    return record | {
        "fingerprint": digest(record),
        "versions": versions(),
        "machine": machine(),
        "slurm": slurm(os.environ),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


SLURM = {
    "job": "SLURM_JOB_ID",
    "partition": "SLURM_JOB_PARTITION",
    "account": "SLURM_JOB_ACCOUNT",
    "qos": "SLURM_JOB_QOS",
    "cpus": "SLURM_CPUS_PER_TASK",
    "memory_mb": "SLURM_MEM_PER_NODE",
    "gpus": "SLURM_GPUS_ON_NODE",
}


def slurm(environment: Mapping[str, str]) -> dict[str, str] | None:
    """What SLURM gave this job, as its variables say; None outside SLURM."""
    if "SLURM_JOB_ID" not in environment:
        return None
    return {
        key: environment[name] for key, name in SLURM.items() if name in environment
    }
