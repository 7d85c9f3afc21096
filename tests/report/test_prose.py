"""The report's plain sentences are true of the study at hand."""

from types import SimpleNamespace
from typing import Any, get_args

import pytest

from labmill.data.classes import resolve
from labmill.report import prose
from labmill.report.tables import PAGE, Table
from labmill.report.text import points
from labmill.study import Measure


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
    monkeypatch.setattr(prose, "recipes", lambda results: known)
    assert condition in prose.batches(study(variants=known))
    assert prose.batches(study(variants={"a": first})) == ""


def test_every_convention_is_told():
    conventions = get_args(Measure.model_fields["convention"].annotation)
    told = {
        prose.counting(study(study={"measure": {"convention": name}}, thing="image"))
        for name in conventions
    }
    assert len(told) == len(conventions) > 3


@pytest.mark.parametrize("roll", ["M21AIE225", "M21AIE220", "B7x"])
def test_the_roll_number_explains_the_classes(roll: str):
    names = list("abcdefghij")
    kept = [names[i] for i in resolve(names, None, roll)]
    facts = study(
        dataset={"classes": names}, classes=kept, study={"data": {"roll_number": roll}}
    )
    said = prose.kept(facts)
    odd = int([c for c in roll if c.isdigit()][-1]) % 2
    assert f"Roll number {roll} ends in the {'odd' if odd else 'even'} digit" in said
    assert (f"{'even' if odd else 'odd'} numbers" in said and "a, c" in said) or not odd
    assert "5 of 10" in said and said.endswith(f"{kept[-2]} and {kept[-1]}.")


def test_all_classes_need_no_reason():
    facts = study(
        dataset={"classes": ["a", "b"]},
        classes=["a", "b"],
        study={"data": {"roll_number": None}},
    )
    assert prose.kept(facts) == "This study keeps all 2 classes."


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
    assert points(difference) == said
