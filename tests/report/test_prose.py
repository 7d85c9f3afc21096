"""The report's plain sentences are true of the study at hand."""

from types import SimpleNamespace
from typing import Any, get_args

import pytest

from labmill.data.classes import resolve_classes
from labmill.report.number_format import change
from labmill.report.sections.cost.sentences import counting
from labmill.report.sections.data.sentences import kept
from labmill.report.sections.method import sentences
from labmill.report.table import PAGE, Table
from labmill.study.schema import Measure


def study(**facts: Any) -> Any:
    """Results with just these facts."""
    return SimpleNamespace(**facts)


@pytest.mark.parametrize(
    ("other", "condition"),
    [
        ({}, "the same seed see"),
        ({"epochs": 9, "learning_rate": 0.1}, "the same seed see"),
        ({"batch_size": 64}, "the same seed and the same batch size see"),
        ({"augmentation.flip": True}, "and the same augmentation see"),
        ({"labels": 100}, "and the same number of training images see"),
    ],
)
def test_same_batches_only_where_the_settings_say_so(
    other: dict[str, Any], condition: str, monkeypatch: pytest.MonkeyPatch
):
    first = {"model": "cnn", "epochs": 5, "learning_rate": 0.01, "batch_size": 32}
    first |= {"augmentation.flip": False, "labels": None}
    known = {"a": first, "b": first | other}
    monkeypatch.setattr(sentences, "recipes", lambda results: known)
    assert condition in sentences.batches(study(variants=known))
    assert sentences.batches(study(variants={"a": first})) == ""


# What a convention adds to those above it, as the sentence must name it.
COUNTED = {
    "macs": "multiply–adds of convolutions",
    "report3": "additions of convolutions",
    "report5": "one operation per activated value",
    "everything": "every scalar operation",
}


def test_the_sentence_fits_the_convention():
    assert set(COUNTED) == set(get_args(Measure.model_fields["convention"].annotation))
    for convention in COUNTED:
        facts = study(study={"measure": {"convention": convention}}, thing="image")
        sentence = counting(facts)
        assert [name for name in COUNTED if COUNTED[name] in sentence] == [convention]


@pytest.mark.parametrize("roll", ["M21AIE225", "M21AIE220", "B7x"])
def test_the_roll_number_explains_the_classes(roll: str):
    names = list("abcdefghij")
    some = [names[i] for i in resolve_classes(names, None, roll)]
    facts = study(
        dataset={"classes": names}, classes=some, study={"data": {"roll_number": roll}}
    )
    said = kept(facts)
    odd = int([c for c in roll if c.isdigit()][-1]) % 2
    assert f"Roll number {roll} ends in the {'odd' if odd else 'even'} digit" in said
    assert (f"{'even' if odd else 'odd'} numbers" in said and "a, c" in said) or not odd
    assert "5 of 10" in said and said.endswith(f"{some[-2]} and {some[-1]}.")


def test_all_classes_need_no_reason():
    facts = study(
        dataset={"classes": ["a", "b"]},
        classes=["a", "b"],
        study={"data": {"roll_number": None}},
    )
    assert kept(facts) == "The study uses both classes of the dataset."


def test_a_part_of_a_table_has_no_empty_rows():
    columns = ["Epoch", *(f"a variant of some length {i}" for i in range(PAGE // 12))]
    rows = [[1, *("90.0 / 90.0" for _ in columns[1:])]]
    rows.append([2, "91.0 / 91.0", *("–" for _ in columns[2:])])
    first, *others = Table(columns, rows, "Epochs.").split()
    assert len(first.rows) == 2 and others
    assert all(len(part.rows) == 1 for part in others)


@pytest.mark.parametrize(
    ("difference", "said"), [(0.0123, "+1.2"), (-0.0123, "−1.2"), (-1e-9, "0.0")]
)
def test_a_difference_of_nothing_has_no_sign(difference: float, said: str):
    assert change(difference) == said
