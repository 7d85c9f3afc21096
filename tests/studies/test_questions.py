"""Every committed study, at every scale: what it asks is what its runs can answer."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from helpers.workflow_run import ROOT
from labmill.plan.plan import Plan
from labmill.study.scales import SCALES

STUDIES = sorted((ROOT / "studies").glob("*.yaml"))
# Sections that give a variant's runs a use of their own, beside the questions.
USES = ("compare", "search", "pruning", "lessons", "edits", "formulate", "published")
cases = pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)


def strings(value: Any) -> Iterator[str]:
    """All keys and texts in nested data."""
    if isinstance(value, dict):
        yield from value
        value = value.values()
    if isinstance(value, str):
        yield value
    elif hasattr(value, "__iter__"):
        for item in value:
            yield from strings(item)


@cases
@pytest.mark.parametrize("scale", SCALES)
def test_levels_of_a_question_differ(path, scale):
    for name, comparison in Plan(path, scale).study.compare.items():
        levels = list(comparison.levels.values())
        assert len(levels) > 1, name
        assert len({frozenset(level) for level in levels}) == len(levels), name


@cases
@pytest.mark.parametrize("scale", ["full", "laptop"])
def test_no_variant_is_trained_for_nothing(path, scale):
    plan = Plan(path, scale)
    used = set(strings(plan.study.model_dump(mode="json", include=set(USES))))
    declared = [e.name for e in plan.variants if e.name in plan.study.variants]
    if len(declared) > 1:
        assert set(declared) <= used


@cases
def test_a_question_that_lost_levels_is_put_anew(path):
    """A reduced scale either runs all that a question names, or asks for less."""
    full, laptop = Plan(path).study.compare, Plan(path, "laptop").study.compare
    overlay = yaml.safe_load(path.read_text()).get("laptop", {}).get("compare", {})
    for name, comparison in laptop.items():
        if set(comparison.levels) != set(full[name].levels):
            assert "question" in overlay.get(name, {}), name
