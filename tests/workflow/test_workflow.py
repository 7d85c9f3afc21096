"""What stands on the command line and in config.yaml is checked before anything runs."""

import re

import pytest
import yaml
from snakemake.cli import parse_config

from helpers.workflow_run import ROOT, TINY, Mill
from labmill.core.errors import LabmillError
from labmill.workflow import targets
from labmill.workflow.config import Config, read_config
from labmill.workflow.context import WorkflowContext


@pytest.fixture
def context(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> WorkflowContext:
    """A working directory with the tiny study, and what a Snakemake there reads."""
    mill.write(TINY)
    monkeypatch.chdir(mill.directory)
    return WorkflowContext({})


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
        ("results/Tiny/report.html", "no such study; did you mean 'tiny'?"),
        ("results/tiny.yaml/report.html", "a study is named without .yaml: tiny"),
        ("results/Smoke/tiny/report.html", "did you mean 'smoke'?"),
        ("results/tiny/repot.html", "did you mean 'report.html'?"),
        ("results/tiny/cnn/seed0/dense/modle.json", "did you mean 'model.json'?"),
        ("results/tiny", "name a file: results/tiny/report.html"),
        ("tiny", "a target is a file, such as results/tiny/report.html"),
        ("train", "this rule has wildcards"),
        ("report.html", "no rule makes it"),
    ],
)
def test_a_target_that_no_study_makes_is_refused(
    context: WorkflowContext, target: str, words: str
):
    with pytest.raises(LabmillError, match=re.escape(words)):
        targets.requested_studies([target])
        targets.check_target(target, context.plan)


@pytest.mark.parametrize(
    "target",
    [
        *(f"results/tiny/cnn/seed1/{s}/model.json" for s in ("dense", "prune_2")),
        *(
            "results/tiny/runs.csv",
            "results/tiny/figures",
            "results/laptop/tiny/test.npz",
        ),
        *("results/index.html", "all", "data/digits/images.npy"),
    ],
)
def test_what_a_study_makes_is_accepted(context: WorkflowContext, target: str):
    targets.requested_studies([target])
    targets.check_target(target, context.plan)


def test_studies_are_found_among_the_targets(context: WorkflowContext):
    found = targets.requested_studies(
        [
            "results/laptop/tiny/report.html",
            "results/tiny/runs.csv",
            "results/index.html",
        ]
    )
    assert found == ["laptop/tiny", "tiny"]


@pytest.mark.parametrize(
    ("text", "scale", "found"),
    [
        ("tiny", "full", "tiny"),
        ("tiny", "smoke", "smoke/tiny"),
        ("smoke/tiny", "full", "smoke/tiny"),
        ("studies/tiny.yaml", "laptop", "laptop/tiny"),
        ("tiny.yaml", "full", "tiny"),
        ("results/smoke/tiny", "full", "smoke/tiny"),
    ],
)
def test_a_study_may_be_named_in_several_ways(
    context: WorkflowContext, text: str, scale: str, found: str
):
    assert targets.parse_study(text, scale) == found


@pytest.mark.parametrize(
    ("text", "scale", "words"),
    [
        ("tinny", "full", "did you mean 'tiny'?"),
        ("my-study", "full", "rename it, for example to my_study.yaml"),
        ("Mine", "full", "rename it, for example to mine.yaml"),
        ("my study", "full", "rename it, for example to my_study.yaml"),
        ("tiny", "Smoke", "no scale 'Smoke'; did you mean 'smoke'?"),
        ("smoke/tiny", "laptop", "scale smoke, but asked for laptop"),
        ("a" * 300, "full", "a name has at most 60 characters"),
    ],
)
def test_a_study_that_is_named_wrongly_is_refused(
    mill: Mill, context: WorkflowContext, text: str, scale: str, words: str
):
    for name in ("my-study", "Mine", "my study"):
        mill.write(TINY, name)
    with pytest.raises(LabmillError, match=re.escape(words)) as caught:
        targets.parse_study(text, scale)
    assert "'my-study'" not in str(caught.value), "a name that cannot be used"


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
    assert set(own) | {"partial", "packed", "site", "set"} == set(Config.model_fields)


@pytest.mark.parametrize(
    ("path", "scale"),
    [("tiny", "laptop"), ("smoke/tiny", "laptop"), ("smoke/tiny", "full")],
)
def test_two_scales_on_one_command_line_are_refused(mill: Mill, path: str, scale: str):
    mill.write(TINY)
    done = mill.run(
        *("-n", f"results/{path}/report.html", "--config", f"scale={scale}")
    )
    assert done.returncode == 1
    assert f"--config scale={scale}; leave that out" in done.stdout
    assert "Traceback" not in done.stdout
