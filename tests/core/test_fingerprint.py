"""What changes a fingerprint, and what must not."""

import ast

import pytest

from labmill.core import fingerprint


def of(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path) -> str:
    path = tmp_path / "module.py"
    path.write_text(text)
    fingerprint.parsed.cache_clear()
    fingerprint.module_fingerprint.cache_clear()
    monkeypatch.setattr(fingerprint, "module_file", lambda module: path)
    result = fingerprint.module_fingerprint("labmill.module")
    fingerprint.parsed.cache_clear()
    fingerprint.module_fingerprint.cache_clear()
    return result


BASE = '''"""Doc."""
import math


def area(r):
    """Area."""
    return math.pi * r**2  # a comment
'''


@pytest.mark.parametrize(
    "same",
    [
        BASE.replace("  # a comment", ""),
        BASE.replace('"""Area."""', '"""The area of a circle,\n    in pixels."""'),
        BASE.replace('"""Doc."""\n', ""),
        BASE.replace("math.pi * r**2", "(\n        math.pi\n        * r ** 2\n    )"),
        "# head\n" + BASE.replace("\n\n\n", "\n\n\n\n"),
    ],
)
def test_layout_does_not_count(same, monkeypatch, tmp_path):
    assert ast.parse(same)
    assert of(same, monkeypatch, tmp_path) == of(BASE, monkeypatch, tmp_path)


@pytest.mark.parametrize(
    "other",
    [
        BASE.replace("r**2", "r**3"),
        BASE.replace("area", "surface"),
        BASE.replace("(r)", "(r=1)"),
    ],
)
def test_code_counts(other, monkeypatch, tmp_path):
    assert of(other, monkeypatch, tmp_path) != of(BASE, monkeypatch, tmp_path)


def test_closure_follows_imports_and_stays_inside():
    vit = fingerprint.code_fingerprints(["labmill.models.vit"])
    assert "models.vit" in vit and "models.attention" in vit
    assert "models.cnn" not in vit
    assert not {"errors", "study", "plan", "runtime"} & set(vit)


def test_canonical_ignores_key_order():
    assert fingerprint.canonical({"b": 1, "a": 0.2}) == fingerprint.canonical(
        {"a": 0.20, "b": 1}
    )
