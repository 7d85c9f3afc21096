"""A network that cannot be built is one message before anything runs."""

import json
from pathlib import Path

import pytest

from helpers.workflow_run import ROOT
from labmill.conformance.try_build import try_build
from labmill.core.errors import LabmillError
from labmill.study import check_networks
from labmill.study.check import check_study

STUDY = "title: x\ndefaults: {model: {%s}}\nvariants: {a: {}, b: {label: b too}}\n"


def check(model: str, tmp_path: Path) -> None:
    """Check the networks of a study of one model."""
    path = tmp_path / "study.yaml"
    path.write_text(STUDY % model)
    study = check_study(path)
    check_networks.check_networks(
        study.variants.values(), study.facts, study.source, study.study
    )


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "labmill" / "networks.json"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("name: resnet, widths: [100000], blocks: [2]", "parameters; at most"),
    ],
)
def test_a_network_that_does_not_fit_is_named(model: str, words: str, tmp_path: Path):
    with pytest.raises(LabmillError) as caught:
        check(model, tmp_path)
    message = str(caught.value)
    assert "study.yaml:2: defaults.model: a: " in message, message
    assert words in message and message.count("\n") == 0, message


def test_a_network_is_built_once(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    check("name: cnn", tmp_path)
    assert len(json.loads(cache.read_text())) == 1
    monkeypatch.setattr(check_networks.subprocess, "run", None)
    check("name: cnn", tmp_path)
    cache.write_text("{")
    with pytest.raises(TypeError):
        check("name: cnn", tmp_path)


def test_a_process_without_an_answer_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(check_networks.sys, "executable", "/no/python")
    check("name: resnet, widths: [100000], blocks: [2]", tmp_path)


def test_the_networks_of_shipped_studies_can_be_built():
    networks = {}
    for path in sorted((ROOT / "studies").glob("*.yaml")):
        study = check_study(path, "laptop")
        for _, one in check_networks.networks_of(
            study.variants.values(), study.facts, {}
        ):
            networks[check_networks.trial_key(one)] = one
    found = check_networks.try_all([*networks.values()])
    assert len(found) > 20 and all(isinstance(one, int) for one in found), found


def test_a_network_for_larger_images_says_why():
    facts = {"num_classes": 2, "image_size": 4, "in_channels": 1}
    assert "too small" in str(try_build("speednet", facts))
