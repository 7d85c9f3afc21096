"""Only what changed runs again, asked of the real workflow by a dry run."""

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.workflow_run import ROOT, TINY, Mill
from labmill.core.records import seal

STUDY = {"summarize", "report"}
VIT = {
    *(f"{rule} vit {seed}" for seed in (0, 1) for rule in ("train",)),
    *(f"evaluate vit {seed} dense" for seed in (0, 1)),
    "measure vit 0 dense",
}
CNN = {
    *(f"train cnn {seed}" for seed in (0, 1)),
    *(f"prune cnn {seed} prune {step}" for seed in (0, 1) for step in (1, 2)),
    *(f"evaluate cnn {seed} {s}" for seed in (0, 1) for s in ("dense", "prune_2")),
    *(f"measure cnn 0 {stage}" for stage in ("dense", "prune_2")),
}


@pytest.fixture
def study() -> dict:
    """A copy of the tiny study, to be edited."""
    return copy.deepcopy(TINY)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A copy of labmill itself, to be edited."""
    root = tmp_path / "labmill"
    for name in ("Snakefile", "config.yaml", "workflow", "profiles", "src"):
        source = ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(source, root / name, ignore=ignore)
        else:
            root.mkdir(exist_ok=True)
            shutil.copy(source, root / name)
    return root


def test_all_jobs_of_a_new_study(mill: Mill, study: dict):
    mill.write(study)
    assert mill.jobs() == {"download", "split"} | VIT | CNN | STUDY


def test_finished_study_has_nothing_to_do(finished: Mill):
    assert finished.jobs() == set()


def test_learning_rate_of_one_variant(finished: Mill, study: dict):
    study["variants"]["vit"] = {"training": {"learning_rate": 5e-3}}
    finished.write(study)
    assert finished.jobs() == VIT | STUDY


def test_learning_rate_of_the_pruned_variant(finished: Mill, study: dict):
    study["variants"]["cnn"]["training"] = {"learning_rate": 5e-3}
    finished.write(study)
    assert finished.jobs() == CNN | STUDY


def test_new_seed(finished: Mill, study: dict):
    study["seeds"] = [0, 1, 2]
    finished.write(study)
    jobs = finished.jobs() - STUDY
    assert jobs and all(" 2" in job for job in jobs), jobs
    assert {"train vit 2", "train cnn 2", "prune cnn 2 prune 2"} <= jobs


def test_removed_variant_vanishes(finished: Mill, study: dict):
    study["variants"].pop("vit")
    study["compare"] = {}
    finished.write(study)
    assert finished.jobs() == STUDY
    finished.build()
    runs = (finished.directory / "results/tiny/runs.csv").read_text()
    assert "cnn" in runs and "vit" not in runs
    assert "vit" not in (finished.directory / "results/tiny/report.md").read_text()


def labmill(mill: Mill, *arguments: str) -> str:
    """What the command `labmill` prints in a working directory."""
    done = subprocess.run(
        [sys.executable, "-m", "labmill.cli", *arguments],
        cwd=mill.directory,
        env=mill.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_results_of_removed_variants_are_listed_and_deleted_on_request(
    finished: Mill, study: dict
):
    folder = finished.directory / "results/tiny/vit"
    assert "no results of removed" in labmill(finished, "clean", "tiny")
    study["variants"].pop("vit")
    study["compare"] = {}
    finished.write(study)
    assert "results/tiny/vit: the study has no variant 'vit'" in labmill(
        finished, "clean", "tiny", "--move"
    )
    assert folder.is_dir()
    labmill(finished, "clean", "tiny", "--delete")
    assert not folder.exists() and (folder.parent / "cnn").is_dir()


def test_results_of_a_renamed_variant_are_moved_and_nothing_is_trained(
    finished: Mill, study: dict
):
    study["variants"] = {
        "transformer" if name == "vit" else name: variant
        for name, variant in study["variants"].items()
    }
    study["compare"]["network"]["levels"] = {"vit": ["transformer"], "cnn": ["cnn"]}
    finished.write(study)
    assert "train transformer 0" in finished.jobs()
    assert "results/tiny/vit: renamed to transformer" in labmill(
        finished, "clean", "tiny"
    )
    labmill(finished, "clean", "tiny", "--move")
    assert not (finished.directory / "results/tiny/vit").exists()
    assert finished.jobs() == STUDY
    finished.build()
    lines = (finished.directory / "results/tiny/runs.csv").read_text().splitlines()
    assert {line.partition(",")[0] for line in lines[1:]} == {"transformer", "cnn"}
    for path in (finished.directory / "results/tiny/transformer").rglob("m*.json"):
        content = json.loads(path.read_text())
        sealed = content["provenance"].pop("sha256", None)
        assert sealed in (None, seal(content)), path


def test_comments_order_and_touches_run_nothing(finished: Mill, study: dict):
    study["defaults"]["training"] = dict(
        reversed(study["defaults"]["training"].items())
    )
    study["variants"] = dict(sorted(study["variants"].items(), reverse=True))
    study["variants"] = dict(reversed(study["variants"].items()))
    path = finished.write(study)
    path.write_text("# a comment\n" + path.read_text())
    for file in finished.directory.rglob("*"):
        if file.is_file() and ".snakemake" not in file.parts:
            os.utime(file)
    assert finished.jobs() == set()


def test_touched_files_larger_than_a_megabyte_run_nothing(mill: Mill):
    """Snakemake believes the times of files that it finds too large for a checksum."""
    generator = np.random.default_rng(0)
    for label in ("left", "right"):
        folder = mill.directory / "pictures" / label
        folder.mkdir(parents=True)
        for number in range(12):
            noise = generator.integers(0, 256, (128, 128), np.uint8)
            Image.fromarray(noise).save(folder / f"{number}.png")
    arguments = {"path": "pictures", "image_size": 128}
    large = {
        "title": "Large files",
        "data": {"dataset": "image_folder", "arguments": arguments},
        "defaults": {"training": {"epochs": 1}},
        "seeds": [0],
        "variants": {
            "net": {"model": {"name": "cnn", "layers": ["flatten", "linear 6"]}}
        },
    }
    mill.write(large, "large")
    target = "results/large/net/seed0/dense/metrics.json"
    done = mill.run(target)
    assert done.returncode == 0, done.stdout
    for name in ("images.npy", "model.safetensors"):
        [path] = (p for p in mill.directory.rglob(name) if not p.is_symlink())
        assert path.stat().st_size > 2**20
        os.utime(path)
    assert planned_for(mill, target) == set()


def test_code_of_one_model(finished: Mill, library: Path):
    file = library / "src/labmill/models/vit.py"
    file.write_text(file.read_text() + "\nEDITED = True\n")
    assert finished.jobs(root=library) == VIT | STUDY


def test_comments_and_docstrings_in_code(finished: Mill, library: Path):
    for file in (library / "src/labmill").rglob("*.py"):
        text = file.read_text()
        if not text:  # an empty __init__.py
            continue
        assert text.startswith('"""')
        file.write_text('"""Another docstring. ' + text[3:] + "\n\n# a comment\n")
    for file in (library / "workflow/scripts").glob("*.py"):
        file.write_text(file.read_text() + "\n# a comment\n")
    assert finished.jobs(root=library) == set()


def test_dry_run_says_why_in_words(finished: Mill, study: dict, library: Path):
    study["variants"]["vit"] = {"training": {"learning_rate": 5e-3}}
    finished.write(study)
    output = finished.run("results/tiny/report.html", "-n").stdout
    assert (
        "train vit seed 0, vit seed 1: training.learning_rate 0.001 → 0.005" in output
    )
    finished.write(TINY)
    file = library / "src/labmill/models/vit.py"
    file.write_text(file.read_text() + "\nEDITED = True\n")
    output = finished.run("results/tiny/report.html", "-n", root=library).stdout
    assert "train vit seed 0, vit seed 1: code changed: models/vit" in output


def test_scales_do_not_mix(finished: Mill, study: dict):
    jobs = planned_for(finished, "results/smoke/tiny/report.html")
    assert "train vit 0" in jobs and "train vit 1" not in jobs


def planned_for(mill: Mill, target: str) -> set[str]:
    """The jobs of another target."""
    from helpers.workflow_run import planned

    done = mill.run(target, "--dry-run")
    assert done.returncode == 0, done.stdout
    return planned(done.stdout)
