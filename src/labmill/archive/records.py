"""Files of a results folder, checked before anything uses them.

Results may be damaged, and an archive may have been made to harm: every file is read
here once, with limits, and must have the layout that the rest of the code relies on.
"""

import csv
import json
import math
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import numpy as np
import safetensors
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from labmill.analysis.records import Examination, Formulations, Representation
from labmill.architecture_edits.records import ConfirmedRanking, EditRanking
from labmill.core.csv_tables import read_table
from labmill.core.errors import LabmillError
from labmill.core.files import read_json
from labmill.core.records import read_rows
from labmill.core.trees import JsonObject, Settings
from labmill.data.records import SplitSummary
from labmill.evaluation.records import Metrics
from labmill.profiling.records import Measurement
from labmill.pruning.records import Influence, PruneRecord
from labmill.report.runs import PARTS, ResultsFolder
from labmill.search.records import SearchResult
from labmill.study.schema.base import Name
from labmill.training.records import BatchRow, EpochRow, ModelDescription

LARGEST = 1 << 30  # bytes of one file, unpacked
REPORT = ("report.md", "report.html", "report.pdf", "report.docx")
TABLES = ("index.json", "runs.csv", "claims.json", "report.json")
SPLIT = ("split.json", "split.npz", "test.npz", "test_openings.jsonl")
FIGURE = re.compile(r"[a-z][a-z0-9_]*")


def below_root(path: str) -> str:
    """Return a path of an archive; ValueError where it could lead out of its root."""
    parts = PurePosixPath(path).parts
    plain = path == str(PurePosixPath(*parts)) and path.isprintable()
    if not parts or not plain or "\\" in path or parts[0] == "/" or ".." in parts:
        raise ValueError(f"{path!r} leads out of the archive")
    return path


Inside = Annotated[str, AfterValidator(below_root)]
ResultsPath = Annotated[
    str, Field(pattern=r"^results/(?:(?:smoke|laptop)/)?[a-z][a-z0-9_]*$")
]
Number = Annotated[float, Field(strict=False)]
Natural = Annotated[int, Field(ge=0)]


class Plain(BaseModel):
    """Part of a JSON file of a report; other keys than these may be there."""

    model_config = ConfigDict(frozen=True, strict=True)


class Run(Plain):
    """One stage of a run, as index.json lists it."""

    variant: Name
    label: str
    kind: str
    seed: Natural
    stage: Name
    folder: Inside
    chosen: Inside | None
    files: dict[str, Inside | None]
    status: str
    reason: str | None
    log: Inside | None = None

    @field_validator("files")
    @classmethod
    def check_names(cls, files: Settings) -> Settings:
        """Refuse a run without the files of every training, and unknown ones."""
        for name in sorted({"model", "description", "history"} - files.keys()):
            raise ValueError(f"{name!r} is missing")
        for name in files:
            if name.removesuffix("_arrays") not in OF_RUNS:
                raise ValueError(f"{name!r} is no file of a run")
        return files


class SummarySettings(Plain):
    """What the summary was made of: the study at its scale."""

    study: Settings
    scale: str
    reduced: list[Settings]


class SummaryJob(Plain):
    """The job that wrote the summary."""

    kind: str
    settings: SummarySettings
    code: dict[str, str]
    consumes: dict[str, str]
    fingerprint: str


class Index(Plain):
    """index.json: every file that a report rests on lies below `results`."""

    study: Name
    scale: Literal["full", "laptop", "smoke"]
    results: ResultsPath
    runs: list[Run]
    searches: dict[Name, Inside | None]
    edits: dict[Name, dict[str, Inside | None]]
    mixed: list[str]
    unmade: list[str] = []
    digests: dict[Inside, str]
    provenance: SummaryJob

    @model_validator(mode="after")
    def check_places(self) -> "Index":
        """Refuse a file that does not lie below the study's results."""
        scale = "" if self.scale == "full" else f"{self.scale}/"
        if self.results != f"results/{scale}{self.study}":
            raise ValueError(f"results: found {self.results!r}")
        paths = [*self.digests, *self.searches.values()]
        for run in self.runs:
            paths += [run.folder, run.chosen, *run.files.values()]
        for files in self.edits.values():
            paths += files.values()
        for path in paths:
            if path is not None and not path.startswith(f"{self.results}/"):
                raise ValueError(f"{path!r} does not lie below {self.results}")
        for run in self.runs:
            if run.log is not None and not run.log.startswith("logs/"):
                raise ValueError(f"log: {run.log!r} does not lie below logs")
        return self


class Claim(Plain):
    """One entry of claims.json."""

    id: str
    statement: str


class Machine(Plain):
    """The machine that wrote a report."""

    system: str


class ReportSettings(Plain):
    """What a report shows in addition to its study."""

    slurm: str


class Templates(Plain):
    """What a report was made from, besides code."""

    templates: str
    summary: str


class ReportJob(Plain):
    """report.json."""

    settings: ReportSettings
    code: dict[str, str]
    consumes: Templates
    machine: Machine
    figures: list[Annotated[str, Field(pattern=FIGURE.pattern)]]
    shown: list[Natural]


class Opening(Plain):
    """One line of test_openings.jsonl."""

    who: str
    part: str
    weights: str


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an npz file whose sizes are what its headers announce."""
    with zipfile.ZipFile(path) as zipped:
        members = zipped.infolist()
        if sum(member.file_size for member in members) > LARGEST:
            raise ValueError(f"larger than {LARGEST >> 20} MiB")
        for member in members:
            with zipped.open(member) as file:
                first = np.lib.format.read_magic(file) == (1, 0)
                read = np.lib.format.read_array_header_1_0
                if not first:
                    read = np.lib.format.read_array_header_2_0
                shape, _, dtype = read(file)
                size = member.file_size - file.tell()
                if dtype.hasobject or math.prod(shape) * dtype.itemsize != size:
                    raise ValueError(f"{member.filename} is no array of plain numbers")
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def check_predictions(path: Path) -> None:
    """Check that there are logits, labels and indices of both parts."""
    arrays = read_arrays(path)
    for part in PARTS:
        logits = arrays[f"{part}_logits"]
        rows = {arrays[f"{part}_{what}"].shape for what in ("labels", "indices")}
        kinds = {arrays[f"{part}_{what}"].dtype.kind for what in ("labels", "indices")}
        if logits.ndim != 2 or rows != {logits.shape[:1]} or kinds != {"i"}:
            raise ValueError(f"{part}: not one row of logits per label and index")
        if logits.dtype.kind != "f" or not np.isfinite(logits).all():
            raise ValueError(f"{part}: logits that are no finite numbers")


def check_indices(*names: str) -> Callable[[Path], None]:
    """Return a check for a file of index arrays with these names."""

    def check(path: Path) -> None:
        arrays = read_arrays(path)
        for name in names:
            if arrays[name].ndim != 1 or arrays[name].dtype.kind != "i":
                raise ValueError(f"{name} is no list of whole numbers")

    return check


def check_table(path: Path) -> None:
    """Check that a CSV file has as many cells in every row as names in its head."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, strict=True))
    if not rows or {len(row) for row in rows} != {len(rows[0])}:
        raise ValueError("not a table with the same number of cells in every row")
    if any(not name.isprintable() or not name for name in rows[0]):
        raise ValueError("not a table with a name for every column")


def check_runs(path: Path) -> None:
    """Check that runs.csv says whose row each is."""
    check_table(path)
    needed = {"variant", "seed", "stage"}
    if any(not needed <= row.keys() for row in read_table(path)):
        raise ValueError("a column is missing: variant, seed, stage")


def check_digest(description: Path, path: Path) -> None:
    """Compare a file of a run with the digest in its model.json, if that is readable."""
    if problem_of(description, ModelDescription.read) is None:
        ModelDescription.read(description).check(path)


def check_openings(path: Path) -> None:
    """Check every line of test_openings.jsonl."""
    for line in path.read_text(encoding="utf-8").splitlines():
        Opening.model_validate(json.loads(line))


def json_check(kind: Any) -> Callable[[Path], None]:
    """Return a check for a JSON file of that layout."""

    def check(path: Path) -> None:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST >> 20} MiB")
        TypeAdapter(kind).validate_python(read_json(path))

    return check


Check = Callable[[Path], Any]
# Of a run's files and the edits', by their name in the index; others by their suffix.
OF_RUNS: Mapping[str, Check] = {
    "description": ModelDescription.read,
    "metrics": Metrics.read,
    "measure": Measurement.read,
    "prune": PruneRecord.read,
    "examine": Examination.read,
    "represent": Representation.read,
    "influence": Influence.read,
    "formulate": Formulations.read,
    "edits": EditRanking.read,
    "confirmed": ConfirmedRanking.read,
    "history": partial(read_rows, EpochRow),
    "batches": partial(read_rows, BatchRow),
    "predictions": check_predictions,
    "model": partial(safetensors.safe_open, framework="np"),
    "split": check_indices("train", "validation", "unlabelled", "labels"),
    "test": check_indices("test", "labels"),
}
OF_STUDIES: Mapping[str, Check] = {
    "runs.csv": check_runs,
    "claims.json": json_check(list[Claim]),
    "report.json": json_check(ReportJob),
    "report.md": partial(Path.read_text, encoding="utf-8"),
    "split.json": SplitSummary.read,
    "split.npz": OF_RUNS["split"],
    "test.npz": OF_RUNS["test"],
    "test_openings.jsonl": check_openings,
}


def by_suffix(path: str) -> Check:
    """Return the check of a file of which no more than its kind is known."""
    if path.endswith(".npz"):
        return read_arrays
    return read_json if path.endswith(".json") else OF_STUDIES["report.md"]


@dataclass(frozen=True)
class Opened:
    """The results of one study: where they are, and what index.json lists."""

    place: ResultsFolder
    index: Settings
    # Of an archive: SHA-256 of all weights, packed or not, by name.
    weights: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The folder of the study's results."""
        return self.place.folder

    @property
    def root(self) -> Path:
        """The working directory in which the study was built."""
        above = [".."] * len(Path(self.place.planned).parts)
        return self.folder.resolve().joinpath(*above).resolve()

    def file(self, run: JsonObject, name: str) -> Path | None:
        """Return a file of a run, None where the run has none."""
        planned = run["files"].get(name)
        path = self.place.path(planned) if planned else None
        return path if path and path.is_file() else None

    def read(self, run: JsonObject, name: str) -> Settings | None:
        """Return the content of a run's JSON file, None where the run has none."""
        path = self.file(run, name)
        found: Settings | None = read_json(path) if path else None
        return found


def open_results(folder: Path) -> Opened:
    """Read index.json of a folder with a finished report."""
    for name in (*TABLES, *REPORT):
        if not (folder / name).is_file():
            raise LabmillError(f"{folder}: no finished report here; missing: {name}")
    path = folder / "index.json"
    if problem := problem_of(path, json_check(Index)):
        raise LabmillError(f"{path}: {problem}")
    index = read_json(path)
    return Opened(ResultsFolder(folder, index["results"]), index)


def damaged_files(opened: Opened) -> list[str]:
    """Return one line per file that cannot be read or has another layout."""
    problems = []
    for name, check in checks(opened):
        path = opened.place.path(name)
        if path.exists() and (problem := problem_of(path, check)):
            problems.append(f"{name}: {problem}")
    return problems


def checks(opened: Opened) -> Iterator[tuple[str, Check]]:
    """Yield every file that the report rests on, by its planned name, and its check."""
    for name, check in OF_STUDIES.items():
        yield f"{opened.place.planned}/{name}", check
    for run in opened.index["runs"]:
        for kind, name in run["files"].items():
            if name:
                yield name, OF_RUNS.get(kind) or by_suffix(name)
        if description := run["files"].get("description"):
            check = partial(check_digest, opened.place.path(description))
            for kind in ("model", "history", "batches"):
                if name := run["files"].get(kind):
                    yield name, check
    for name in opened.index["searches"].values():
        if name:
            yield name, SearchResult.read
    for files in opened.index["edits"].values():
        for kind, name in files.items():
            if name:
                yield name, OF_RUNS.get(kind) or by_suffix(name)


def first_mistake(error: ValidationError) -> str:
    """Return the first mistake that pydantic found, in one line."""
    first = error.errors(include_url=False, include_input=False)[0]
    at = ".".join(str(part)[:80] for part in first["loc"])
    return f"{at}{': ' if at else ''}{first['msg']}"


def problem_of(path: Path, check: Check) -> str | None:
    """Return what is wrong with a file in one line, None where nothing is."""
    if path.exists() and not path.is_file():
        return "is damaged: found a folder or the like; expected a file"
    try:
        check(path)
    except ValidationError as error:
        return f"is damaged: {first_mistake(error)}"
    except MemoryError:
        return "is damaged: needs too much memory"
    except LabmillError as error:
        return str(error).removeprefix(f"{path}: ").splitlines()[0][:300]
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        return f"is damaged: {said or type(error).__name__}"
    return None
