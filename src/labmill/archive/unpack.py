"""Unpack an archive that somebody else made: bounded, checked, below one folder."""

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from labmill.archive.archive import CONTENTS, sha256
from labmill.archive.records import (
    Inside,
    Opened,
    Plain,
    ResultsPath,
    below_root,
    first_mistake,
    open_results,
    problem_of,
    read_arrays,
)
from labmill.core.errors import LabmillError
from labmill.core.files import file_digest
from labmill.data.records import Card
from labmill.models.records import WeightsCard
from labmill.study.schema.base import Name

MOST_FILES = 20_000
LARGEST_TOTAL = 2 << 30  # bytes of all files, unpacked
LARGEST_CONTENTS = 16 << 20  # bytes of archive.json
# Results are numbers and text: honest archives stay below 20.
LARGEST_RATIO = 100
SMALL = 64 << 20  # bytes up to which no ratio is too large
READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Contents(Plain):
    """archive.json."""

    study: Name
    scale: str
    results: ResultsPath
    labmill: str
    commit: str | None
    weights: dict[Inside, Sha256]
    files: dict[Inside, Sha256]


def unpack(archive: Path, folder: Path) -> Contents:
    """Unpack an archive into `folder` and return what archive.json says.

    Only files that archive.json lists are written, each with the digest that it says.
    """
    with one_message(archive), zipfile.ZipFile(archive) as zipped:
        check_sizes(zipped.infolist(), archive.stat().st_size)
        contents = Contents.model_validate(json.loads(zipped.read(CONTENTS)))
        names = set(zipped.namelist()) - {CONTENTS}
        for name in sorted(names ^ set(contents.files)):
            raise ValueError(f"{name} is in the zip or in {CONTENTS}, not in both")
        for name, expected in contents.files.items():
            data = zipped.read(name)
            if sha256(data) != expected:
                raise ValueError(
                    f"{name} is not what {CONTENTS} says (SHA-256 "
                    f"{sha256(data)[:12]}…, expected {expected[:12]}…)"
                )
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return contents


def check_sizes(members: list[zipfile.ZipInfo], packed: int) -> None:
    """Check names, methods and announced sizes before anything is unpacked."""
    if len(members) > MOST_FILES:
        raise ValueError(f"{len(members)} files; at most {MOST_FILES}")
    if len({member.filename for member in members}) < len(members):
        raise ValueError("a name occurs twice")
    total = sum(member.file_size for member in members)
    if total > LARGEST_TOTAL:
        raise ValueError(f"{total >> 20} MiB unpacked; at most {LARGEST_TOTAL >> 20}")
    if total > max(SMALL, LARGEST_RATIO * packed):
        raise ValueError(f"unpacks to {total // max(packed, 1)} times its size")
    for member in members:
        below_root(member.filename)
        if member.flag_bits & 1 or member.compress_type not in READABLE:
            raise ValueError(f"{member.filename}: encrypted, or packed in another way")
        if member.filename == CONTENTS and member.file_size > LARGEST_CONTENTS:
            raise ValueError(f"{CONTENTS}: {member.file_size >> 20} MiB")


def open_archive(archive: Path, folder: Path) -> Opened:
    """Unpack an archive, read its index, and check that the two belong together."""
    contents = unpack(archive, folder)
    opened = replace(open_unpacked(folder, contents.results), weights=contents.weights)
    for key in ("study", "scale", "results"):
        if opened.index[key] != getattr(contents, key):
            raise LabmillError(f"index.json and {CONTENTS} differ in `{key}`")
    if not (folder / "studies" / f"{contents.study}.yaml").is_file():
        raise LabmillError(f"studies/{contents.study}.yaml: the study file is missing")
    for path in folder.glob("data/**/*"):
        name = path.relative_to(folder).as_posix()
        check = {"card.json": Card.read, "shown.npz": read_arrays}.get(path.name)
        if name.startswith("data/weights/"):
            check = {"card.json": WeightsCard.read}.get(path.name)
        if path.is_dir():
            continue
        if check is None:
            raise LabmillError(f"{name}: no file of an archive")
        if problem := problem_of(path, check):
            raise LabmillError(f"{name}: {problem}")
    for name, expected in contents.weights.items():
        path = folder / name
        if path.is_file() and file_digest(path) != expected:
            raise LabmillError(f"{name} is not what {CONTENTS} says of the weights")
    return opened


def open_unpacked(folder: Path, results: str) -> Opened:
    """Read the index of an archive that was unpacked into `folder`."""
    opened = open_results(folder / results)
    for run in opened.index["runs"]:
        # An archive has no logs: the path would lead to those of whoever checks it.
        run.pop("log", None)
    return opened


@contextmanager
def one_message(archive: Path) -> Iterator[None]:
    """Turn whatever goes wrong with an archive into one LabmillError."""
    try:
        yield
    except LabmillError:
        raise
    except ValidationError as error:
        message = f"{CONTENTS}: {first_mistake(error)}"
        raise LabmillError(f"{archive}: not an archive: {message}") from None
    except Exception as error:
        # zlib, struct, zipfile and json each raise their own errors.
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise LabmillError(f"{archive}: not an archive: {said}") from None
