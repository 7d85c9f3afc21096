"""An archive is described for other tools and for people."""

import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest

from labmill.archive.archive import write_archive
from labmill.archive.records import open_results
from labmill.archive.rerender import report_files
from labmill.archive.ro_crate import readme
from labmill.core.progress import close_state, open_state
from labmill.report.results import StudyResults


def test_metadata_name_every_file_with_its_digest(packed: Path):
    with zipfile.ZipFile(packed) as zipped:
        contents = json.loads(zipped.read("archive.json"))["files"]
        graph = json.loads(zipped.read("ro-crate-metadata.json"))["@graph"]
    described = {one["@id"]: one.get("sha256") for one in graph if "sha256" in one}
    assert described == {
        name: sha for name, sha in contents.items() if name != "ro-crate-metadata.json"
    }


def test_readme_answers_from_the_results(packed: Path):
    with zipfile.ZipFile(packed) as zipped:
        text = zipped.read("README.md").decode()
        assert {"LICENSE", "CITATION.cff"} <= set(zipped.namelist())
    assert "{{" not in text and "None" not in text
    assert "labmill reproduce synthetic.zip" in text
    card = text.partition("## Model card")[2].partition("##")[0]
    assert "| CNN | cnn | " in card and " % | 3 |" in card.replace(
        "\N{NO-BREAK SPACE}", " "
    )


def test_readme_promises_what_the_archive_holds(results: Path, packed: Path):
    opened = open_results(results)
    read = StudyResults.read(report_files(opened.folder, opened.index), {})
    text = readme(opened, read, weights=True, own_code=False).decode()
    assert re.search(r"labmill reproduce synthetic.zip \w+:0\n", text)
    with zipfile.ZipFile(packed) as zipped:
        named = set(re.findall(r"code/[\w.]+", text))
        assert "make " not in text and named <= {*zipped.namelist()}
    assert "--trust-code" in readme(opened, read, weights=True, own_code=True).decode()
    read.study["data"]["dataset"] = "image_folder"
    text = readme(opened, read, weights=True, own_code=False).decode()
    assert ":0" not in text and "No run can be trained again" in text


@pytest.fixture
def recomputed(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive of a study of which two jobs failed at first and one was killed then."""
    monkeypatch.chdir(results.parents[1])
    for log in ("logs/train/synthetic.cnn.seed0.log", "logs/report/synthetic.log"):
        Path(log).parent.mkdir(parents=True)
        open_state(log)
        close_state("OSError: no space")
        open_state(log)
    close_state()
    open_state("logs/report/synthetic_other.log")
    close_state()
    write_archive(results, tmp_path / "x.zip")
    return tmp_path / "x.zip"


def test_compute_includes_failed_and_repeated_jobs(recomputed: Path):
    with zipfile.ZipFile(recomputed) as zipped:
        text = zipped.read("README.md").decode()
        graph = json.loads(zipped.read("ro-crate-metadata.json"))["@graph"]
    values = {one["@id"]: one["value"] for one in graph if "value" in one}
    assert values.pop("#seconds") < 60
    assert values == {"#starts": 4, "#failed": 2, "#killed": 1}
    assert "in 4 starts; 2 failed, 1 killed" in text


@pytest.fixture(scope="module")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with roc-validator, which needs older libraries than labmill."""
    folder = tmp_path_factory.mktemp("validator")
    python = folder / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    lock = str(Path(__file__).parent / "validator.lock")
    install = ["pip", "sync", "--quiet", "--require-hashes", "--python", str(python)]
    for step in (["venv", "--quiet", "--clear", str(folder)], [*install, lock]):
        done = subprocess.run([*uv, *step], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"roc-validator cannot be installed: {done.stderr[-200:]}")
    return python


def test_is_a_workflow_run_crate(recomputed: Path, tmp_path: Path, validator: Path):
    with zipfile.ZipFile(recomputed) as zipped:
        zipped.extractall(tmp_path / "crate")
    script = Path(__file__).parents[1] / "helpers" / "validate_crate.py"
    context = files("rocrate") / "data/ro-crate.jsonld"
    done = subprocess.run(
        [str(validator), str(script), str(tmp_path / "crate"), str(context)],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )
    assert done.stdout.strip() == "valid: True", done.stdout + done.stderr
