"""Which classes a study keeps."""

import subprocess
import sys

import pytest

from labmill.core.errors import LabmillError
from labmill.data.classes import resolve_classes

NAMES = ("airplane", "bird", "cat", "deer", "dog")


@pytest.mark.parametrize(
    ("classes", "kept"),
    [
        (None, [0, 1, 2, 3, 4]),
        (["dog", "cat"], [4, 2]),
        ([0, 3], [0, 3]),
        (["bird", 4], [1, 4]),
    ],
)
def test_by_name_and_index_in_the_order_given(classes, kept):
    assert resolve_classes(NAMES, classes) == kept


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        ("B20EE017", [0, 2, 4]),
        ("b20-ee-018", [1, 3]),
        ("7x", [0, 2, 4]),
        (100, [1, 3]),
    ],
)
def test_by_roll_number(number, kept):
    assert resolve_classes(NAMES, roll_number=number) == kept


@pytest.mark.parametrize(
    ("classes", "number", "message"),
    [
        (["dog", "brid"], None, "did you mean 'bird'"),
        ([0, 5], None, "an index is 0 to 4"),
        ([0, -1], None, "an index is 0 to 4"),
        ([True, False], None, "found the class True"),
        (["dog", 4], None, "'dog' is listed twice"),
        (["dog"], None, "at least 2"),
        ([], None, "at least 2"),
        (None, "none", "no digit"),
        (None, "", "no digit"),
        (["dog", "cat"], "7", "both"),
    ],
)
def test_a_wrong_choice_is_one_clear_message(classes, number, message):
    with pytest.raises(LabmillError, match=message):
        resolve_classes(NAMES, classes, number)


def test_the_plan_can_ask_without_numpy():
    code = (
        "import sys, labmill.data.classes; "
        "sys.exit(any(m in sys.modules for m in ('numpy', 'torch', 'requests')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
