"""What stands on the command line and in config.yaml is checked before anything runs."""

import re

import pytest
import yaml
from snakemake.cli import parse_config

from labmill import workflow
from labmill.config import Config, read_config
from labmill.errors import LabmillError
from mill import ROOT, TINY, Mill


@pytest.fixture
def tiny(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with the tiny study, planned anew."""
    mill.write(TINY)
    monkeypatch.chdir(mill.directory)
    monkeypatch.setattr(workflow, "PLANS", {})


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("results/tiny/vti/seed0/dense/model.safetensors", "did you mean 'vit'?"),
        (
            "results/tiny/vit/seed7/dense/model.safetensors",
            "no seed '7'; allowed: 0, 1",
        ),
        ("results/tiny/vit/seed0/prune_1/model.safetensors", "no stage 'prune_1'"),
        ("results/tiny/cnn/seed0/prune_3/model.safetensors", "mean 'prune_2'?"),
        (
            "results/medium/tiny/report.html",
            "no scale 'medium'; allowed: laptop, smoke",
        ),
        ("results/tinny/report.html", "no such study; did you mean 'tiny'?"),
    ],
)
def test_a_target_that_no_study_makes_is_refused(tiny: None, target: str, words: str):
    with pytest.raises(LabmillError, match=re.escape(words)):
        for place in workflow.asked_for([target]):
            workflow.plan(place)
        workflow.check_target(target)


def test_what_a_study_makes_is_accepted(tiny: None):
    for stage in ("dense", "prune_1", "prune_2"):
        workflow.check_target(f"results/tiny/cnn/seed1/{stage}/model.safetensors")
    assert workflow.asked_for(
        ["-n", "results/laptop/tiny/report.html", "results/tiny/runs.csv"]
    ) == ["laptop/tiny", "tiny"]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("scael=smoke", "config: scael: unknown key; did you mean 'scale'?"),
        ("scale=smok", "config: scale: found 'smok'; did you mean 'smoke'?"),
        ("pack=yes", "config: pack: found 'yes' (text); expected a whole number"),
        ("studies=tiny", "config: studies: found 'tiny' (text); expected a list"),
        ("partial=maybe", "config: partial: found 'maybe' (text)"),
    ],
)
def test_a_wrong_config_is_refused(config: str, words: str):
    with pytest.raises(LabmillError, match=re.escape(words)):
        read_config(parse_config([config]))


def test_the_config_that_labmill_brings_is_right():
    own = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert read_config(own | parse_config(["partial=true"])).partial
    assert set(own) | {"partial", "packed", "site"} == set(Config.model_fields)
