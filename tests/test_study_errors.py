"""A wrong study file gets one message: file, line, key, found, allowed."""

import re
from pathlib import Path

import pytest

from labmill.errors import LabmillError
from labmill.plan import Plan

VIT = "title: x\nvariants:\n  a: {model: {name: vit, patch: 2%s}}\n"
OK = VIT % ""

CASES = {
    "unknown key": (OK + "sedes: [1]\n", 4, "sedes", "did you mean 'seeds'?"),
    "unknown inner key": (
        OK + "data: {datset: digits}\n",
        4,
        "data.datset",
        "'dataset'",
    ),
    "wrong type": (
        OK + "seeds: three\n",
        4,
        "seeds",
        "found 'three' (text); expected a list",
    ),
    "fraction of epochs": (
        OK + "defaults: {training: {epochs: 1.5}}\n",
        4,
        "defaults.training.epochs",
        "found 1.5 (number); expected a whole number",
    ),
    "negative rate": (
        OK + "defaults: {training: {learning_rate: -1}}\n",
        4,
        "defaults.training.learning_rate",
        "found -1",
    ),
    "unknown model": (
        "title: x\nvariants:\n  a: {model: {name: vitt}}\n",
        3,
        "variants.a.model.name",
        "did you mean 'vit'?",
    ),
    "unknown dataset": (OK + "data: {dataset: minst}\n", 4, "data.dataset", "'mnist'"),
    "unknown optimizer": (
        OK + "defaults: {training: {optimizer: adm}}\n",
        4,
        "defaults.training.optimizer",
        "did you mean 'adam'?",
    ),
    "unknown activation": (
        VIT % ", activation: rleu",
        3,
        "variants.a.model.activation",
        "did you mean 'relu'?",
    ),
    "unknown argument": (
        VIT % ", dmi: 3",
        3,
        "variants.a.model.dmi",
        "did you mean 'dim'?",
    ),
    "argument's type": (
        VIT % ", depth: two",
        3,
        "variants.a.model.depth",
        "a whole number",
    ),
    "heads do not divide dim": (
        VIT % ", dim: 32, heads: 5",
        3,
        "variants.a.model.heads",
        "must divide dim (dim=32, heads=5)",
    ),
    "patch too large": (
        "title: x\nvariants:\n  a: {model: {name: vit, patch: 9}}\n",
        3,
        "variants.a.model.patch",
        "must fit into the image",
    ),
    "layer": (
        "title: x\nvariants:\n  a: {model: {name: cnn, layers: [conv 16, pol]}}\n",
        3,
        "variants.a.model",
        "did you mean 'pool'?",
    ),
    "duplicate variant": (
        "title: x\nvariants:\n  a: {}\n  a: {}\n",
        4,
        "variants.a",
        "found twice, first in line 3",
    ),
    "no variants": ("title: x\nvariants: {}\n", 2, "variants", "at least one"),
    "variants left out": ("title: x\nvariants:\n", 2, "variants", "expected a mapping"),
    "variant's name": (
        OK.replace("a:", "A-b:"),
        3,
        "variants.A-b",
        "names are lower-case",
    ),
    "class name": (
        OK + "data: {classes: [one, 2]}\n",
        4,
        "data.classes",
        "class 'one'",
    ),
    "roll number": (
        OK + "data: {roll_number: none}\n",
        4,
        "data.roll_number",
        "has no digit",
    ),
    "no title": ("variants:\n  a: {}\n", 1, "title", "missing"),
    "broken YAML": ("title: [x\nvariants: {\n", 2, "", "unreadable YAML"),
    "list": ("- a\n", None, "", "no mapping"),
    "empty file": ("", None, "", "found nothing"),
    "delta's key": (
        OK.replace("}}", "}, training: {lerning_rate: 1}}"),
        3,
        "variants.a.training.lerning_rate",
        "did you mean 'learning_rate'?",
    ),
    "compare": (
        OK + "compare: {c: {levels: {x: [a], y: [b]}}}\n",
        4,
        "compare.c.levels.y[0]",
        "no variant 'b'",
    ),
    "matrix": (
        OK + "search: {s: {variant: a, matrix: {dim: [8]}}}\n",
        4,
        "search.s.matrix.dim",
        "model.<argument>",
    ),
    "matrix value": (
        OK + "search: {s: {variant: a, matrix: {model.heads: [5]}}}\n",
        4,
        "search.s.matrix.model.heads",
        "must divide dim",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_message(case: str, tmp_path: Path):
    text, line, key, words = CASES[case]
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(LabmillError) as caught:
        Plan(path)
    message = str(caught.value)
    assert message.startswith(str(path)), message
    assert words in message, message
    if line:
        assert re.match(rf"{re.escape(str(path))}:{line}:", message), message
    assert f" {key}: " in message or not key, message
    assert message.count("\n") == 0, message


def test_folder_instead_of_file(tmp_path: Path):
    with pytest.raises(LabmillError, match="found a folder"):
        Plan(tmp_path)


def test_missing_file(tmp_path: Path):
    with pytest.raises(LabmillError, match="no such file"):
        Plan(tmp_path / "none.yaml")


def test_exponent_without_a_dot_is_a_number(tmp_path: Path):
    path = tmp_path / "fine.yaml"
    path.write_text(OK + "defaults: {training: {learning_rate: 1e-4}}\n")
    assert Plan(path).study.defaults.training.learning_rate == 1e-4
