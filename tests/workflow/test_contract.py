"""The rules keep to their contract, and the imports to their direction."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.workflow_run import ROOT

RULES = ROOT / "workflow" / "rules"
SCRIPTS = ROOT / "workflow" / "scripts"
HEADER = re.compile(
    r"^(?:rule|checkpoint) (\w+):$|^use rule (\w+) as (\w+) with:$", re.M
)


def rules() -> dict[str, tuple[str, bool]]:
    """Every rule's text, and whether it inherits from another, by name."""
    found = {}
    for path in RULES.glob("*.smk"):
        text = path.read_text()
        matches = list(HEADER.finditer(text))
        ends = [match.start() for match in matches[1:]] + [len(text)]
        for match, end in zip(matches, ends[: len(matches)], strict=True):
            body = text[match.end() : end]
            found[match[1] or match[3]] = (body, match[2] is not None)
    return found


@pytest.mark.parametrize("name", sorted(rules()))
def test_rule(name: str):
    body, inherits = rules()[name]
    assert inherits or re.match(r'\s+"""[A-Z].*\."""\n', body), (
        "a docstring, one sentence"
    )
    assert re.search(rf'log:\n\s+"logs/{name}/', body), "a log under its own name"
    assert re.search(rf'benchmark:\n\s+"benchmarks/{name}/', body)
    assert inherits or f'"../scripts/{name}.py"' in body, "a script of its own name"
    assert "job=" in body, "params hold the job's record"
    for word in ("lambda", "run:", "message:", "shell:", "config["):
        assert word not in body, word
    for directive in ("input", "output"):
        block = re.search(rf"^    {directive}:\n((?:        .*\n)+)", body, re.M)
        if block:
            entries = re.findall(r"^        (\S.*)$", block[1], re.M)
            entries = [entry for entry in entries if entry != "),"]
            assert all(re.match(r"\w+=", entry) for entry in entries), entries


@pytest.mark.parametrize("path", sorted(RULES.glob("*.smk")), ids=lambda p: p.name)
def test_rule_file_states_its_contract(path: Path):
    text = path.read_text()
    assert text.startswith('"""')
    assert len(text.splitlines()) <= 200
    if not path.name.startswith("common"):
        assert "REQUIRED INPUTS:" in text and "OUTPUTS:" in text


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.py")), ids=lambda p: p.name)
def test_script_is_thin(path: Path):
    text = path.read_text()
    assert len(text.splitlines()) <= 32
    assert "with logged(snakemake.log[0]):" in text
    assert not re.search(r"^\s*(def|class) ", text, re.M)
    assert path.stem in rules(), "no orphan script"


@pytest.mark.parametrize(
    "module",
    [
        "labmill.plan.plan",
        "labmill.workflow.context",
        "labmill.study.options_page",
    ],
)
def test_plan_needs_no_torch(module: str):
    code = f"import {module}, sys; print({{'torch', 'numpy', 'pandas'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stdout + done.stderr


def test_snakemake_lint_finds_nothing():
    done = subprocess.run(
        [*(sys.executable, "-m", "snakemake", "--lint"), "--cores", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    remarks = [
        line
        for line in (done.stdout + done.stderr).splitlines()
        if line.lstrip().startswith("* ")
    ]
    allowed = "Specify a conda environment or container for each rule"
    assert [line for line in remarks if allowed not in line] == []


def test_file_names_no_foreign_place():
    """Neither a registry's host nor a path of somebody's machine is committed."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    registry = re.compile(r"//[^/ ]*(py" r"pi|python" r"hosted|npm" r"js|deb" r"ian)\.")
    bad = [
        name
        for name in listed
        if (ROOT / name).is_file()
        and registry.search((ROOT / name).read_text(errors="ignore"))
    ]
    assert bad == []
