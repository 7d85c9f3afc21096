"""Write a study and its results as one reproducibility archive.

Inside: `archive.json` (what it is; SHA-256 of every file and of all weights),
`README.md` and `ro-crate-metadata.json` (the same for people and for other tools),
`plan.json` (the record of every job), the study file, the code that made it, the
author's own code, the dataset's card and the images that the report shows, and the
results from weights and predictions to the report. It unpacks into the layout of a working directory. Equal
content gives equal bytes.
"""

import hashlib
import json
import subprocess
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from labmill.archive.records import OF_STUDIES, TABLES, Opened, open_results
from labmill.archive.rerender import files_of, report_files
from labmill.archive.ro_crate import METADATA, README, crate_metadata, readme
from labmill.core import project
from labmill.core.errors import LabmillError
from labmill.core.files import atomic_write, file_digest, finite, read_json
from labmill.core.paths import CHECKOUT, PACKAGE
from labmill.core.trees import JsonObject, Settings
from labmill.plan.checkpoints import on_disk
from labmill.plan.plan import Plan
from labmill.report.image_pool import shown_images
from labmill.report.results import StudyResults

# The code is under code/, so that an archive does not overwrite the one that reads it.
CODE = ("src/labmill", "workflow", "profiles/local")
CODE_FILES = (
    *("Snakefile", "config.yaml", "pyproject.toml", "requirements.lock"),
    *("LICENSE", "README.md", "CITATION.cff"),
    # Without site.yaml, which is about somebody's own cluster.
    *("profiles/slurm/config.yaml", "profiles/slurm/site.example.yaml"),
)
CONTENTS = "archive.json"
LARGEST_WEIGHTS = 200_000_000  # bytes: up to here weights are packed by default
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can hold


def write_archive(results: Path, out: Path, *, weights: bool | None = None) -> None:
    """Write the archive of the finished study in `results` to `out`.

    `weights`: whether to pack the evaluated networks; by default up to 200 MB.
    """
    opened = open_results(Path(results))
    with project.using(opened.root):
        pack(out, contents_of(opened, weights=weights))


def contents_of(opened: Opened, *, weights: bool | None) -> dict[str, bytes]:
    """Return the content of every file of an archive by its name."""
    plan = plan_of(opened)
    found = weight_files(opened, evaluated=True)
    size = sum(path.stat().st_size for path in found.values())
    if weights is None:
        weights = size <= LARGEST_WEIGHTS
    dataset = f"data/{plan.dataset_key}"
    jobs = planned_jobs(plan, opened)
    files = {
        f"studies/{plan.path.name}": plan.path,
        **{
            f"studies/{Path(written)}": plan.path.parent / written
            for written in plan.report_settings().get("pictures", {})
        },
        **result_files(opened),
        **(found if weights else {}),
        **code_files(CHECKOUT),
        **own_code(jobs),
        **{
            name: opened.root / name
            for name in (f"{dataset}/card.json", *weights_cards(plan))
        },
    }
    contents = {name: path.read_bytes() for name, path in files.items()}
    indices = read_json(opened.folder / "report.json")["shown"]
    images = opened.root / dataset / "images.npy"
    contents[f"{dataset}/shown.npz"] = shown_images(images, indices)
    contents["plan.json"] = as_json(jobs)
    results = StudyResults.read(report_files(opened.folder, opened.index), {})
    contents[README] = readme(
        opened, results, weights=weights and bool(found), own_code=bool(own_code(jobs))
    )
    contents["LICENSE"] = contents["code/LICENSE"]
    contents["CITATION.cff"] = contents["code/CITATION.cff"]
    contents[METADATA] = crate_metadata(opened, results, contents)
    contents[CONTENTS] = as_json(
        {
            "study": opened.index["study"],
            "scale": opened.index["scale"],
            "results": opened.index["results"],
            "labmill": version("labmill"),
            "commit": commit_of(CHECKOUT),
            "weights": {
                name: file_digest(path) for name, path in weight_files(opened).items()
            },
            "files": {name: sha256(data) for name, data in sorted(contents.items())},
        }
    )
    return contents


def weights_cards(plan: Plan) -> list[str]:
    """Return the cards of the pretrained weights that runs start from."""
    return [f"data/weights/{key}/card.json" for key in plan.weights]


def own_code(jobs: JsonObject) -> dict[str, Path]:
    """Return the files of the user's own code that jobs depend on."""
    names = {name for job in jobs.values() for name in job["code"]}
    own = [name for name in sorted(names) if name.startswith(f"{project.OWN}.")]
    found = [path for name in own if (path := project.module_file(name))]
    return {project.shown_path(path): path for path in found}


def plan_of(opened: Opened) -> Plan:
    """Return the plan of the study file, which must be the one behind the results."""
    index = opened.index
    name = f"studies/{index['study']}.yaml"
    candidates = [folder / name for folder in (opened.root, CHECKOUT)]
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        raise LabmillError(f"{name}: the study file is missing")
    settings = index["provenance"]["settings"]
    author = settings["study"].get("author")
    known = author.items() if isinstance(author, dict) else ()
    author = {key: value for key, value in known if value}
    changes = settings.get("changes")
    plan = Plan(path.resolve(), index["scale"], author=author, changes=changes)
    if plan.report_settings() != settings:
        raise LabmillError(
            f"{name}: has changed since {index['results']} was made; build the study again"
        )
    return plan


def result_files(opened: Opened) -> dict[str, Path]:
    """Return the results' files by their name in the archive, as index.json lists them."""
    here = opened.place.planned
    written = files_of(opened.folder)
    names = [f"{here}/{name}" for name in (*TABLES, *written, *OF_STUDIES)]
    for run in opened.index["runs"]:
        names += [name for key, name in run["files"].items() if key != "model"]
    names += opened.index["searches"].values()
    for files in opened.index["edits"].values():
        names += files.values()
    found = {name: opened.place.path(name) for name in dict.fromkeys(names) if name}
    return {name: path for name, path in found.items() if path.is_file()}


def weight_files(opened: Opened, *, evaluated: bool = False) -> dict[str, Path]:
    """Return the weights, or those of networks with predictions, by name."""
    return {
        run["files"]["model"]: path
        for run in opened.index["runs"]
        if (path := opened.file(run, "model"))
        if not evaluated or opened.file(run, "predictions")
    }


def code_files(root: Path) -> dict[str, Path]:
    """Return the code, its rules, its licence and its lock file."""
    found = {name: root / name for name in CODE_FILES}
    for folder in CODE:
        # Of an installed labmill, the package is not below the workflow's folder.
        package = folder == "src/labmill" and root == CHECKOUT
        top = PACKAGE if package else root / folder
        for path in sorted(top.rglob("*")):
            inside = path.relative_to(top)
            if path.is_file() and not {"__pycache__", "shipped"} & {*inside.parts}:
                found[f"{folder}/{inside.as_posix()}"] = path
    return {f"code/{name}": path for name, path in found.items() if path.is_file()}


def planned_jobs(plan: Plan, opened: Opened) -> Settings:
    """Return the record and fingerprint of every job, as this code plans it."""
    return {
        f"{planned.rule} {'/'.join(planned.wildcards.values())}".strip(): (
            planned.job.record | {"fingerprint": planned.job.fingerprint}
        )
        for planned in plan.jobs(on_disk(plan, opened.place.path))
    }


def commit_of(root: Path) -> str | None:
    """Return the commit of the code if it is unchanged in a repository, else None."""

    def git(*command: str) -> str:
        full = ["git", "-C", str(root), *command]
        return subprocess.run(full, capture_output=True, text=True, check=True).stdout

    try:
        changed = git("status", "--porcelain", "--", *CODE, *CODE_FILES)
        return None if changed else git("rev-parse", "HEAD").strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def as_json(value: Any) -> bytes:
    """Return JSON with a fixed layout."""
    text = json.dumps(finite(value), indent=1, sort_keys=True, allow_nan=False)
    return (text + "\n").encode()


def sha256(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def pack(out: Path, contents: Mapping[str, bytes]) -> None:
    """Write a zip whose bytes depend on names and contents only."""
    with (
        atomic_write(out, "wb") as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped,
    ):
        for name, data in sorted(contents.items()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            packed = name.endswith(".safetensors")
            entry.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
            zipped.writestr(entry, data)
