"""A wheel in a separate folder, and the commands of the tutorial."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from helpers.workflow_run import ROOT

TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
# What a wheel is made of.
SOURCES = ("src", "workflow", "studies", "profiles")
FILES = (
    *("setup.py", "pyproject.toml", "Snakefile", "config.yaml", "requirements.lock"),
    *("LICENSE", "README.md", "CITATION.cff", "MANIFEST.in"),
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of somebody who has the wheel and no checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    for name in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "site.yaml")
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    build = "import setuptools.build_meta as b; b.build_wheel('..')"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=copy, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as zipped:
        zipped.extractall(folder / "site")
    shutil.rmtree(copy)
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    return environment | {"PYTHONPATH": str(folder / "site")}


def call(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Run a command; return what it printed, or fail with it."""
    if command[0] == "labmill":
        command = [sys.executable, "-m", "labmill.cli", *command[1:]]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def test_the_tutorial_works_with_a_wheel_and_no_checkout(installed, tmp_path):
    project = tmp_path / "my-project"
    draw, look = re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL)
    study, *_ = re.findall(r"```yaml\n(.*?)```", TUTORIAL, re.DOTALL)
    folder = tmp_path
    for line in re.findall(r"^\$ (.*)$", TUTORIAL, re.MULTILINE):
        command = line.split()
        if command[0] == "cd":
            folder = project
            call([sys.executable, "-c", draw], project, installed)
            (project / "studies" / "mine.yaml").write_text(study)
            continue
        said = call(command, folder, installed)
        if command[1:3] == ["check", "model"]:
            assert "✗" not in said
        elif command[1] == "check":
            (shown,) = re.findall(r"```text\n(pictures:.*?)```", TUTORIAL, re.DOTALL)
            assert said == shown
    for name in ("results/mine/report.pdf", "results/smoke/mine/report.html"):
        assert (project / name).is_file()
    said = call([sys.executable, "-c", look], project, installed)
    assert "test_brier" in said and "prediction" in said
    with zipfile.ZipFile(project / "results" / "mine.zip") as zipped:
        names = zipped.namelist()
    assert {"models/my_network.py", "code/src/labmill/cli.py", "code/Snakefile"} <= {
        *names
    }


def test_a_new_folder_is_not_written_over(installed, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    done = subprocess.run(
        [sys.executable, "-m", "labmill.cli", "init", "full"],
        cwd=tmp_path,
        env=installed,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "exists and is not empty" in done.stderr


def git_source(folder: Path) -> str:
    """Commit the workflow to a new repository; return how a Snakefile names it."""
    for name in ("workflow", "profiles"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, folder / name)
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run(["git", *who, *command], cwd=folder, check=True)
    subprocess.run(["git", "tag", "v1"], cwd=folder, check=True)
    return f'gitfile("{folder}", path="workflow/Snakefile", tag="v1")'


@pytest.mark.parametrize("source", ["path", "git"])
@pytest.mark.parametrize("prefix", ["", "lab"])
def test_another_workflow_imports_this_one(mill, prefix, source, tmp_path_factory):
    snakefile = f'"{ROOT / "Snakefile"}"'
    if source == "git":
        snakefile = git_source(tmp_path_factory.mktemp("source"))
    mill.write({"title": "x", "data": {"dataset": "digits"}, "variants": {"cnn": {}}})
    line = f'    prefix: "{prefix}"\n' if prefix else ""
    report = f"{prefix}/results/tiny/report.html".lstrip("/")
    (mill.directory / "Snakefile").write_text(
        f"module labmill:\n    snakefile: {snakefile}\n    config: config\n"
        f"{line}\n\nuse rule * from labmill as labmill_*\n\n\n"
        f'rule all:\n    default_target: True\n    input: "{report}"\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "-c1", "--rerun-triggers", "params"],
        cwd=mill.directory,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "labmill_train" in done.stdout + done.stderr


def test_a_missing_installation_is_one_sentence(tmp_path):
    text = (ROOT / "workflow/Snakefile").read_text(encoding="utf-8")
    assert 'find_spec("labmill")' in text
    head = text.partition("configfile:")[0].replace('find_spec("labmill")', "None")
    (tmp_path / "Snakefile").write_text(head)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "-c1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "labmill is not installed" in done.stderr and "Traceback" not in done.stderr
