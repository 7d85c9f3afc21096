"""Settings of a study that are changed on the command line."""

from pathlib import Path

import pytest
from snakemake.cli import parse_config
from snakemake.common import dict_to_key_value_args

from labmill.cli import changes_of
from labmill.core.errors import LabmillError
from labmill.plan.plan import Plan
from labmill.workflow.config import changes_as_text, read_config

STUDY = "title: x\nvariants: {a: {}, b: {training: {epochs: 7}}}\n"


def plan(tmp_path: Path, *given: str, scale: str = "full") -> Plan:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return Plan(path, scale, changes=changes_of(given))


def test_a_change_reaches_the_variants_and_the_results(tmp_path):
    before, after = plan(tmp_path), plan(tmp_path, "training.epochs=2", "seeds=[4]")
    assert [v.training.epochs for v in before.variants] == [10, 7]
    assert [v.training.epochs for v in after.variants] == [2, 7]
    assert after.resolve("a").seeds == (4,)
    settings = after.report_settings()
    assert settings["changes"] == {"training.epochs": 2, "seeds": [4]}
    assert "changes" not in before.report_settings()
    assert before.train_job("a", 0).params != after.train_job("a", 4).params


def test_a_change_outweighs_the_scale_and_a_dotted_key_leads_to_a_variant(tmp_path):
    made = plan(
        tmp_path, "variants.b.training.epochs=3", "model.name=lenet", scale="smoke"
    )
    assert made.resolve("b").training.epochs == 3
    assert made.resolve("a").model.name == "lenet"


def test_numbers_are_read_as_in_a_study():
    assert changes_of(["training.learning_rate=1e-3"]) == {
        "training.learning_rate": 0.001
    }
    assert changes_of(["training.optimizer=sgd"]) == {"training.optimizer": "sgd"}
    texts = ["1:30", "0x10", "010", "2020-13-45", "nan", '"0012346"']
    for text in texts:
        assert changes_of([f"title={text}"]) == {"title": text.strip('"')}


@pytest.mark.parametrize(
    "text",
    ["1e400", ".nan", "[" * 2000, '!!int ""', "!!bool x", "&a [*a]", "{", "9" * 5000],
)
def test_a_value_that_is_none_is_one_message(text):
    with pytest.raises(LabmillError, match="expected a key and a value"):
        changes_of([f"training.epochs={text}"])


@pytest.mark.parametrize(
    "given",
    [
        ["training.epochs=1"],
        ["training.learning_rate=1e-3", "training.compile=off", "seeds=[4, 5]"],
        ["training.schedule={kind: one_cycle}", "title='50 % \"more\": ä = ok'"],
        ["training.ema=null", "data.class_names=['1', 'no']"],
    ],
)
def test_a_change_passes_through_snakemake_and_its_jobs(given):
    changes = changes_of(given)
    once = parse_config([f"set={changes_as_text(changes)}"])
    assert read_config(once).set == changes
    again = parse_config(dict_to_key_value_args(once, quote_str=False, repr_obj=True))
    assert read_config(again).set == changes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.epoch=2", "unknown key; did you mean 'epochs'?"),
        ("training.epochs=two", "found 'two' (text); expected a whole number"),
        ("training.epochs", "--set training.epochs: expected a key and a value"),
    ],
)
def test_a_wrong_change_is_one_message(tmp_path, change, message):
    with pytest.raises(LabmillError) as caught:
        plan(tmp_path, change)
    assert message in str(caught.value)
