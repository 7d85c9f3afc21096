"""A study of own code, from its files to an archive that somebody else checks."""

import csv
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

import labmill
from helpers.workflow_run import Mill
from labmill.archive.archive import write_archive
from labmill.archive.reproduce import Outcome, reproduce
from labmill.archive.verify import verify
from labmill.core import project
from labmill.core.errors import LabmillError
from own.test_own_code import CODE, STUDY


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with own code and the finished study. Not to be changed."""
    folder = tmp_path_factory.mktemp("own")
    shutil.copytree(CODE, folder, dirs_exist_ok=True)
    mill = Mill(folder)
    pruning = {"cut": {"variants": ["mixer"], "steps": 1, "finetune": {"epochs": 1}}}
    small = {
        "training": STUDY["variants"]["lion"]["training"]
        | STUDY["variants"]["hinged"]["training"]
        | STUDY["variants"]["salted"]["training"],
        "model": {"name": "cnn", "layers": ["conv 2", "pool", "flatten"]},
    }
    variants = {"mixer": STUDY["variants"]["mixer"], "small": small}
    more = {"seeds": [0], "pruning": pruning, "variants": variants}
    mill.write(STUDY | more)
    mill.build()
    return folder


@pytest.fixture(scope="module")
def archive(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "tiny.zip"
    write_archive(built / "results/tiny", path)
    return path


def test_the_report_shows_own_metrics_and_figures_and_names_the_files(built):
    results = built / "results/tiny"
    with (results / "runs.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["stage"] == "dense"]
    assert len(rows) == 2
    assert all(1 / 3 <= float(row["test_certainty"]) <= 1 for row in rows)
    assert all(row["test_top3"] == "1.0" for row in rows)
    report = (results / "report.md").read_text()
    assert (
        "Test mean certainty" in report and (results / "figures/heights.svg").is_file()
    )
    for name in (
        "models/mixer.py",
        "models/blocks.py",
        "losses/hinge.py",
        "augmentations/salt.py",
    ):
        assert f"{name} (" in report, name


def test_the_results_are_verified_and_open_from_anywhere(built, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert verify(built / "results/tiny").mismatches == []
    results = labmill.open(built / "results/tiny")
    for stage in ("dense", "cut_1"):
        model = results.load_model("mixer", stage=stage)
        images = np.zeros((1, 1, 8, 8), dtype=np.uint8)
        assert {*model.predict(images)["prediction"]} <= {*results.classes}


def test_an_archive_carries_own_code_which_nobody_runs_unasked(
    archive, monkeypatch, tmp_path
):
    with zipfile.ZipFile(archive) as zipped:
        names = zipped.namelist()
    for name in (
        *("models/mixer.py", "models/blocks.py", "datasets/stripes.py"),
        *(
            "augmentations/salt.py",
            "losses/hinge.py",
            "optimizers/lion.py",
            "metrics/certainty.py",
        ),
        "figures/heights.py",
    ):
        assert name in names
    monkeypatch.chdir(tmp_path)
    verdict, _ = reproduce(archive)
    assert verdict.mismatches == []
    assert any("metrics/certainty.py" in reason for reason in verdict.unchecked)
    with pytest.raises(LabmillError, match=r"datasets/stripes.py.*; --trust-code runs"):
        reproduce(archive, "mixer:0")
    assert not [name for name in project.own_files() if str(tmp_path) in str(name)]


def test_an_archive_is_reproduced_on_another_path(archive, monkeypatch, tmp_path):
    """Its own metrics and figures run in a sandbox, where there is one, not here."""
    monkeypatch.chdir(tmp_path)
    before = {*project.own_files()}  # an earlier test may have opened its study
    shown = []
    verdict, reruns = reproduce(archive, "mixer:0", trust_code=True, show=shown.append)
    assert verdict.mismatches == []
    assert [
        one for one in verdict.unchecked if "images.npy is not here" not in one
    ] == []
    assert {one.outcome for one in reruns} == {Outcome.EQUAL} and len(reruns) == 2
    where = "in a sandbox" if shutil.which("bwrap") else "WITHOUT a sandbox"
    assert where in shown[0] and "rests on that code's word" in shown[0]
    new = {*project.own_files()} - before
    assert not [name for name in new if "metrics/certainty" in str(name)]
