"""The examples of docs/own-code.md, each written to a file as the page shows it."""

import re
from pathlib import Path

import pytest

from helpers.workflow_run import ROOT, TINY
from labmill.cli import main
from labmill.conformance.check_model import check_model

PAGE = (ROOT / "docs" / "own-code.md").read_text(encoding="utf-8")
FILES = {
    "An augmentation": "augmentations/inverted.py",
    "A metric": "metrics/certainty.py",
    "A figure": "figures/heights.py",
    "A model": "models/mixer.py",
}
STUDY = {key: TINY[key] for key in ("title", "data")} | {
    "variants": {"mixer": {"model": {"name": "mixer", "dim": 16}}},
    "defaults": {"training": {"augmentation": {"inverted": {"share": 0.1}}}},
    "metrics": ["certainty"],
    "figures": ["heights"],
}


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with all examples."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for section in PAGE.split("\n## ")[1:]:
        heading, _, text = section.partition("\n")
        codes = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        if heading in FILES:
            path = tmp_path / FILES[heading]
            path.parent.mkdir()
            (code,) = codes
            path.write_text(code)
        else:  # a Snakefile, in test_install.py
            assert all(code.startswith("module labmill:") for code in codes), heading
    return tmp_path


def test_a_study_of_the_examples_has_no_mistakes(examples, mill, capsys):
    mill.write(STUDY)
    for file in FILES.values():
        assert (examples / file).is_file()
    status = main(["check", "tiny"])
    said = capsys.readouterr()
    assert status == 0 and "no mistakes; 1 variants" in said.out, said


def test_the_network_works_in_every_stage(examples):
    facts = {"num_classes": 10, "image_size": 8, "in_channels": 1}
    found = check_model("mixer", {}, facts, without=["compiled step"])
    assert [one for one in found if not one.works] == []
