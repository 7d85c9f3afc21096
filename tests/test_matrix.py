"""`variants: {matrix: …}`: variants, labels, questions and the heat map."""

from pathlib import Path

import pytest

from labmill.core.errors import LabmillError
from labmill.plan.plan import Plan

STUDY = """title: Optimizers
variants:
  matrix:
    training.optimizer: [sgd, adam, rmsprop]
    training.learning_rate: [1e-2, 1e-3, 1e-4]
  plain: {training: {optimizer: sgd, momentum: 0.0}}
laptop:
  variants: {matrix: {training.learning_rate: [1e-3]}, plain: {training: {epochs: 2}}}
"""


def plan(tmp_path: Path, text: str = STUDY, scale: str = "full") -> Plan:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return Plan(path, scale)


def test_every_combination_is_a_variant_with_a_label(tmp_path):
    made = plan(tmp_path)
    found = {
        v.name: (v.training.optimizer, v.training.learning_rate) for v in made.variants
    }
    assert len(found) == 10
    assert found["rmsprop_learning_rate_0p001"] == ("rmsprop", 0.001)
    labels = {v.label for v in made.variants}
    assert {"adam, learning rate 0.01", "plain"} <= labels and len(labels) == 10


def test_each_setting_is_a_question_with_the_others_held_equal(tmp_path):
    asked = plan(tmp_path).study.compare
    assert list(asked) == ["optimizer", "learning_rate"]
    levels = asked["optimizer"].levels
    assert list(levels) == ["sgd", "adam", "rmsprop"]
    assert [name.removeprefix("adam") for name in levels["adam"]] == [
        name.removeprefix("sgd") for name in levels["sgd"]
    ]


@pytest.mark.parametrize(("scale", "variants"), [("laptop", 4), ("smoke", 10)])
def test_a_scale_reduces_the_matrix(tmp_path, scale, variants):
    made = plan(tmp_path, scale=scale)
    assert len(made.variants) == variants
    if scale == "laptop":
        assert list(made.study.compare) == ["optimizer"]
        assert made.resolve("plain").training.epochs == 2


def test_a_question_of_ones_own_replaces_the_made_one(tmp_path):
    own = "compare:\n  optimizer: {question: Mine, levels: {a: [plain], b: [sgd_learning_rate_0p01]}}\n"
    made = plan(tmp_path, STUDY + own)
    assert made.study.compare["optimizer"].question == "Mine"


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ("{training.optimizer: sgd}", "found 'sgd'; expected a list of values"),
        ("{data.dataset: [mnist]}", "a setting is written model.<argument> or"),
        ("{training.optimizer: [sgd, adm]}", "found 'adm'; did you mean 'adam'?"),
        ("{training.betas: [[0.9, 0.9]]}", "write such variants one by one"),
        (
            "{training.augmentation.flip: [true], training.augmentation: [dataset]}",
            "training.augmentation.flip is a part of it",
        ),
        ("{training.epochs: [1, 2], training.batch_size: [%s]}", "at most 200"),
    ],
)
def test_a_wrong_matrix_is_one_message(tmp_path, matrix, message):
    many = ", ".join(map(str, range(1, 150)))
    text = f"title: x\nvariants:\n  matrix: {matrix.replace('%s', many)}\n"
    with pytest.raises(LabmillError) as caught:
        plan(tmp_path, text)
    assert message in str(caught.value) and "study.yaml:3: " in str(caught.value)


@pytest.mark.parametrize("changed", ["null", "3", "[1]"])
def test_a_wrong_matrix_of_a_scale_is_one_message(tmp_path, changed):
    text = "title: x\nvariants:\n  matrix: {training.epochs: [1, 2]}\n"
    text += f"smoke: {{variants: {{matrix: {changed}}}}}\n"
    with pytest.raises(
        LabmillError, match=r"smoke.variants.matrix: found .*; expected"
    ):
        plan(tmp_path, text, "smoke")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("{name: [a/b]}", "name: found .*; expected text"),
        ("{name: torchvision/resnet18, arguments: 3}", "arguments: found 3 "),
    ],
)
def test_a_network_of_a_wrong_type_is_one_message(tmp_path, model, message):
    text = f"title: x\nvariants:\n  matrix: {{training.epochs: [1, 2]}}\n  a: {{model: {model}}}\n"
    with pytest.raises(LabmillError, match=message):
        plan(tmp_path, text)
