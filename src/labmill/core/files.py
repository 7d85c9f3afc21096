"""Whole files: written atomically, and read with one message where they are damaged."""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from labmill.core.errors import LabmillError, nearest

# Errors that say that nobody can write here: no space, no permission, no such place.
# None: numpy reports a short write without a number.
UNWRITABLE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, None),
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR),
    *(errno.EISDIR, errno.EEXIST),
}

# A file system without locks, such as some NFS and Lustre.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn a full disk or a missing permission into a LabmillError."""
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        reason = error.strerror or error
        raise LabmillError(f"{path}: cannot be written: {reason}") from error


def check_output_file(path: Path) -> None:
    """Check that a file can be written, before the work whose result it gets."""
    if not path.parent.is_dir():
        raise LabmillError(f"{path}: {no_folder(path.parent)}")
    if path.is_dir():
        raise LabmillError(f"{path}: found a folder; expected the name of a file")
    with writing(path), tempfile.TemporaryFile(dir=path.parent):
        pass


def no_folder(path: Path) -> str:
    """Return that a path is no folder, and the nearest name that is one."""
    above = next(one for one in path.parents if one.is_dir())
    missing = path.relative_to(above).parts[0]
    near = nearest(missing, [one.name for one in above.iterdir() if one.is_dir()])
    return f"{str(path)!r} is not a folder" + (
        f"; did you mean {str(above / near)!r}?" if near else ""
    )


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file in the folder of `path`; on success flush and rename it.

    Readers never see half a file, and a crash leaves the old one in place.
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


def remove_partial(folder: Path) -> None:
    """Remove the temporary files of killed writers, where no other process writes."""
    for path in folder.rglob(".*.part"):
        path.unlink(missing_ok=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN and infinity become null."""
    with atomic_write(path) as file:
        json.dump(finite(value), file, indent=1, allow_nan=False)
        file.write("\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise LabmillError(f"{path}: damaged, no JSON: {error}") from None


def file_digest(path: str | Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def finite(value: Any) -> Any:
    """Return `value` with None for every non-finite float, as JSON has none."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    return value
