"""No whole number in a model's arguments passes the check and then breaks the network."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from test_conformance import CASES, NAMES, build, inputs

from labmill.core import registry
from labmill.core.errors import LabmillError
from labmill.plan.plan import Plan

FACTS = {"num_classes", "image_size", "in_channels"}


def wrong_arguments(name: str) -> list[dict[str, Any]]:
    """Small arguments with one whole number, or one in a list, set to 0 or -1."""
    small = CASES.get(name, [{}])[0]
    real = build(name, small).arguments()
    found = []
    for argument in registry.arguments("models", name):
        if argument.name in FACTS or not re.search(r"\bint\b", argument.annotation):
            continue
        value = small.get(argument.name) or real.get(argument.name)
        for wrong in (0, -1):
            if isinstance(value, list | tuple):
                for place in range(len(value)):
                    lost = [*value[:place], wrong, *value[place + 1 :]]
                    found.append({**small, argument.name: lost})
            else:
                found.append({**small, argument.name: wrong})
    return found


@pytest.mark.parametrize("name", NAMES)
def test_whole_numbers_are_refused_or_run(name: str, tmp_path: Path):
    sequence = registry.constant("models", name, "KIND") == "sequence"
    tokens = {"dataset": "sequences", "normalisation": "none"}
    data = tokens if sequence else {"dataset": "cifar10"}
    path = tmp_path / "study.yaml"
    for arguments in wrong_arguments(name):
        model = {"name": name, **arguments}
        study = {"title": "x", "data": data, "variants": {"a": {"model": model}}}
        path.write_text(yaml.safe_dump(study))
        try:
            Plan(path)
        except LabmillError as error:
            assert re.search(r"study\.yaml:\d+: \S+\.model\.\w+: ", str(error)), (
                arguments
            )
            continue
        logits = build(name, arguments).eval()(*inputs(name))
        assert torch.isfinite(logits).all(), arguments


def test_an_mlp_keeps_a_hidden_feature(tmp_path: Path):
    path = tmp_path / "study.yaml"
    model = "{name: vit, patch: 2, mlp_ratio: 0}"
    path.write_text(f"title: x\nvariants:\n  a: {{model: {model}}}\n")
    with pytest.raises(LabmillError, match=r"variants\.a\.model\.mlp_ratio"):
        Plan(path)
