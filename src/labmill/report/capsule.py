"""A study and its results as one file: `python -m labmill.report.capsule results/x x.zip`.

Inside: `capsule.json` (what it is, SHA-256 of every file and of the weights that are left
out), `plan.json` (the record of every job), the study file, the code that made it, the
dataset's card with its digests and the images that the report shows, and the results
from predictions to report. It unpacks into the layout of a working directory, and equal
content gives equal bytes.
"""

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from labmill import closing
from labmill.errors import LabmillError
from labmill.plan import Plan
from labmill.report.pool import shown
from labmill.report.read import Place
from labmill.runtime import atomic_write, finite, read_json
from labmill.workflow import ROOT

# The code is under code/, so that a capsule does not overwrite the one it is opened with.
CODE = ("src/labmill", "workflow", "profiles/local")
CODE_FILES = (
    *("Snakefile", "config.yaml", "pyproject.toml", "requirements.lock"),
    # Without site.yaml, which is about somebody's own cluster.
    *("profiles/slurm/config.yaml", "profiles/slurm/site.example.yaml"),
)
SUMMARY = (
    "index.json",
    "runs.csv",
    "claims.json",
    "report.md",
    "report.html",
    "report.pdf",
    "report.json",
    "split.json",
    "split.npz",
    "test.npz",
    "test_openings.jsonl",
)
LEFT_OUT = ("model",)
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can hold


def capsule(results: Path, out: Path) -> None:
    """Write the capsule of the finished study in `results` to `out`.

    LabmillError when there is no finished report, or when the study file is no longer
    the one that the results were made of.
    """
    results = Path(results)
    if not all((results / name).is_file() for name in ("index.json", "report.json")):
        raise LabmillError(f"{results}: no finished report here; build the study first")
    index = read_json(results / "index.json")
    place = Place(results, index["results"])
    root = root_of(results, index)
    plan = planned(root, index)
    files = {
        f"studies/{plan.path.name}": plan.path,
        **results_in(index, place),
        **code_in(ROOT),
    }
    dataset = f"data/{plan.dataset_key}"
    files[f"{dataset}/card.json"] = root / dataset / "card.json"
    contents = {name: path.read_bytes() for name, path in files.items()}
    kept = read_json(results / "report.json")["shown"]
    contents[f"{dataset}/shown.npz"] = shown(root / dataset / "images.npy", kept)
    contents["plan.json"] = as_json(jobs_of(plan, index))
    about = {
        "study": index["study"],
        "scale": index["scale"],
        "results": index["results"],
        "labmill": version("labmill"),
        "commit": commit(ROOT),
        "weights": weights_of(index, place),
        "files": {name: sha256(data) for name, data in sorted(contents.items())},
    }
    contents["capsule.json"] = as_json(about)
    pack(out, contents)


def root_of(results: Path, index: Mapping[str, Any]) -> Path:
    """The working directory in which a study was built."""
    return results.resolve().joinpath(*[".."] * len(Path(index["results"]).parts))


def planned(root: Path, index: Mapping[str, Any]) -> Plan:
    """The plan of the study file, which must still say what the results were made of."""
    name = f"{index['study']}.yaml"
    path = next(
        (p for p in (root / "studies" / name, ROOT / "studies" / name) if p.is_file()),
        None,
    )
    if path is None:
        raise LabmillError(f"studies/{name}: the study file is no longer there")
    settings = index["provenance"]["settings"]
    author = settings["study"]["author"]
    plan = Plan(path.resolve(), index["scale"], author=author)
    if closing.told(plan) != settings:
        raise LabmillError(
            f"studies/{name}: it has changed since {index['results']} was made; "
            "build the study again, then its capsule"
        )
    return plan


def results_in(index: Mapping[str, Any], place: Place) -> dict[str, Path]:
    """The results' files by their name in the capsule; of the index, never a glob."""
    drawn = read_json(place.folder / "report.json")["figures"]
    listed = [f"{place.planned}/{name}" for name in SUMMARY]
    listed += [f"{place.planned}/figures/{name}.svg" for name in drawn]
    for run in index["runs"]:
        listed += [path for key, path in run["files"].items() if key not in LEFT_OUT]
    listed += index["searches"].values()
    for edit in index.get("edits", {}).values():
        listed += edit.values()
    found = {name: place.path(name) for name in dict.fromkeys(listed) if name}
    return {name: path for name, path in found.items() if path.is_file()}


def code_in(root: Path) -> dict[str, Path]:
    """The code, its rules and its lock."""
    found = {name: root / name for name in CODE_FILES}
    for folder in CODE:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found[path.relative_to(root).as_posix()] = path
    return {f"code/{name}": path for name, path in found.items() if path.is_file()}


def jobs_of(plan: Plan, index: Mapping[str, Any]) -> dict[str, Any]:
    """The record and fingerprint of every job, as the code here plans it."""
    jobs = {"download": plan.download_job(), "split": plan.split_job()}
    for run in index["runs"]:
        at = (run["variant"], run["seed"], run["stage"])
        name = "/".join(map(str, at))
        jobs[f"train {name}"] = plan.stage_job(*at)
        if "metrics" in run["files"]:
            jobs[f"evaluate {name}"] = plan.evaluate_job(*at)
        if "measure" in run["files"]:
            jobs[f"measure {name}"] = plan.measure_job(*at)
    for stage in index["searches"]:
        jobs[f"select {stage}"] = plan.select_job(stage)
    jobs["summarize"] = closing.summarize_job(plan)
    jobs["report"] = closing.report_job(plan)
    return {
        name: job.record | {"fingerprint": job.fingerprint}
        for name, job in jobs.items()
    }


def weights_of(index: Mapping[str, Any], place: Place) -> dict[str, str]:
    """SHA-256 of the weights, which stay outside."""
    paths = [run["files"].get("model") for run in index["runs"]]
    return {
        path: sha256(place.path(path).read_bytes())
        for path in paths
        if path and place.path(path).is_file()
    }


def commit(root: Path) -> str | None:
    """The commit of the code, if it is in a repository and unchanged; else None."""
    command = ["git", "-C", str(root)]
    try:
        changed = subprocess.run(
            [*command, "status", "--porcelain", "--", *CODE, *CODE_FILES],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        head = subprocess.run(
            [*command, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return None if changed else head


def as_json(value: Any) -> bytes:
    """JSON with a fixed layout."""
    text = json.dumps(finite(value), indent=1, sort_keys=True, allow_nan=False)
    return (text + "\n").encode()


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256."""
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
            entry.compress_type = zipfile.ZIP_DEFLATED
            zipped.writestr(entry, data)


def unpack(capsule: Path, folder: Path) -> dict[str, Any]:
    """Unpack a capsule into `folder` and return its capsule.json.

    Only files that capsule.json lists are written, each below `folder` and with the
    digest that it says. LabmillError for anything else.
    """
    try:
        with zipfile.ZipFile(capsule) as zipped:
            about = json.loads(zipped.read("capsule.json"))
            names = set(zipped.namelist()) - {"capsule.json"}
            check_names(capsule, names, about["files"])
            for name, expected in about["files"].items():
                data = zipped.read(name)
                if sha256(data) != expected:
                    raise LabmillError(
                        f"{capsule}: {name} is not what capsule.json says "
                        f"(SHA-256 {sha256(data)[:12]}…, expected {expected[:12]}…)"
                    )
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise LabmillError(f"{capsule}: not a capsule: {error}") from None
    return dict(about)


def check_names(capsule: Path, names: set[str], listed: Iterable[str]) -> None:
    """LabmillError for a name that leads out of the folder or is not listed."""
    for name in names ^ set(listed):
        raise LabmillError(
            f"{capsule}: {name} is in the zip or in capsule.json, not both"
        )
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
            raise LabmillError(f"{capsule}: {name!r} leads out of the capsule")


def main(arguments: Sequence[str]) -> int:
    """Write a capsule; 0 when done, 2 when it cannot be."""
    if len(arguments) != 2:
        print("Say which one: python -m labmill.report.capsule results/<study> out.zip")
        return 2
    results, out = map(Path, arguments)
    try:
        capsule(results, out)
    except LabmillError as error:
        print(f"Error: {error}")
        return 2
    print(
        f"{out}: {out.stat().st_size / 1e6:.1f} MB, SHA-256 {sha256(out.read_bytes())}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
