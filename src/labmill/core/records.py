"""Typed records: what a JSON or CSV file between two jobs contains, checked when read.

Each stage defines the records of the files that it writes, in a module `records` that
imports no torch. `Record.read` is the one way to read them.
"""

import csv
import hashlib
import json
from pathlib import Path
from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from labmill.core.csv_tables import read_table
from labmill.core.errors import LabmillError
from labmill.core.files import atomic_write, finite
from labmill.core.provenance import provenance
from labmill.core.trees import Settings

Number = int | float
ANEW = "Delete the file and run the same command again"


class Record(BaseModel):
    """Part of a file, or a whole one. A field without default must be in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read and check a JSON file."""
        try:
            text = Path(path).read_bytes()
            record = cls.model_validate_json(text, strict=True)
        except OSError as error:
            raise LabmillError(f"{path}: cannot be read: {error.strerror}") from None
        except ValidationError as error:
            raise damaged(path, cls.__name__, error) from None
        value = json.loads(text)
        expected = sealed_part(value).pop("sha256", None)
        if expected not in (None, seal(value)):
            raise LabmillError(
                f"{path}: damaged: its content does not have the SHA-256 in it\n{ANEW}"
            )
        return record

    def write(self, path: str | Path) -> None:
        """Write the record as JSON, atomically, without the fields that were not set.

        A record with a provenance or a field `sha256` is sealed: the digest of its
        content is part of the file.
        """
        value = self.model_dump(exclude_unset=True)
        if "sha256" not in type(self).model_fields:
            value = finite(value)
        if "provenance" in value or "sha256" in type(self).model_fields:
            sealed_part(value)["sha256"] = seal(value)
        with atomic_write(path) as file:
            json.dump(value, file, indent=1)
            file.write("\n")


class Provenance(Record):
    """The job that wrote a file: settings, code, inputs, libraries, machine.

    Attributes:
        code: fingerprint of each module and version of each library that decide numbers.
    """

    code: dict[str, str]
    consumes: dict[str, str]  # fingerprints of the jobs whose files it read, by label
    kind: str
    settings: Settings
    fingerprint: str  # of `kind`, `settings`, `code` and `consumes` together
    versions: dict[str, str]
    machine: dict[str, str | int | None]
    slurm: dict[str, str] | None  # what SLURM allocated; None outside SLURM
    date: str
    device: str | None = None  # where it computed; only of jobs that time something
    threads: int | None = None
    sha256: str | None = None  # of the content of the file, without this field

    @classmethod
    def of_job(cls, params: str) -> Self:
        """Return the record of this job from its params."""
        return cls(**provenance(params))


Row = TypeVar("Row", bound=Record)


def read_rows(row: type[Row], path: str | Path) -> list[Row]:
    """Read and check a CSV file whose columns are the fields of `row`."""
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            head = next(csv.reader(file), [])
        if head != list(row.model_fields):
            raise LabmillError(
                f"{path}: damaged or from another program: found the columns {head}, "
                f"expected {', '.join(row.model_fields)}\n{ANEW}"
            )
        return TypeAdapter(list[row]).validate_python(read_table(path), strict=True)  # type: ignore[valid-type]
    except OSError as error:
        raise LabmillError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise damaged(path, row.__name__, error) from None
    except UnicodeDecodeError as error:
        raise LabmillError(f"{path}: damaged, no text: {error}\n{ANEW}") from None


def sealed_part(value: Settings) -> Settings:
    """Return the part of a file's content that has the digest."""
    part: Settings = value.get("provenance", value)
    return part


def seal(value: Settings) -> str:
    """Return the SHA-256 of JSON values."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def damaged(path: str | Path, kind: str, error: ValidationError) -> LabmillError:
    """Return the message for a file whose content does not fit its record."""
    first = error.errors(include_url=False, include_input=False)[0]
    at = ".".join(map(str, first["loc"]))
    where = f"{at}: " if at else ""
    return LabmillError(
        f"{path}: damaged or from another program ({kind}): {where}{first['msg']}\n{ANEW}"
    )
