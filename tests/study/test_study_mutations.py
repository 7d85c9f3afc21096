"""Mutated studies are accepted, or get one short message: no traceback, no hang.

The number of mutations: LABMILL_MUTATIONS (default 60).
"""

import copy
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.patience import SLOW
from helpers.workflow_run import ROOT
from labmill.core.errors import LabmillError
from labmill.plan.plan import Plan
from labmill.study.load import MOST_LINES
from labmill.study.yaml_source import Loader
from labmill.workflow.check_words import check_words

STUDIES = sorted((ROOT / "studies").glob("*.yaml"))
MUTATIONS = int(os.environ.get("LABMILL_MUTATIONS", "60"))
LONGEST_MESSAGE, MOST_SECONDS = 1500, 5.0
NONSENSE: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 2.5, 1e300, 10**30, -(10**30), 1e-320, "", " ", "x"),
    *("a" * 300, "null", "1:30", "0012", "é", "日本", "\u202e", "{{ result(1) }}"),
    *([], [[]], {}, {"a": {}}, [None], [0, 0], [1, "x"], {"name": 5}, ["x"] * 50),
    *("@key", "[[[[", "<b>", "figures", "full", "../x", "a b", "A-b", "dense"),
)


def positions(value: Any, at: tuple = ()) -> Iterator[tuple]:
    """Yield the key path of everything inside a nested value."""
    inside = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        inside = enumerate(value)
    for key, inner in inside:
        yield (*at, key)
        yield from positions(inner, (*at, key))


def owner_of(study: Any, at: tuple) -> Any:
    """Return the mapping or list that holds a key path."""
    for key in at[:-1]:
        study = study[key]
    return study


def replace(study: Any, at: tuple, rng: random.Random) -> None:
    """Put nonsense in the place of a value."""
    owner_of(study, at)[at[-1]] = copy.deepcopy(rng.choice(NONSENSE))


def delete(study: Any, at: tuple, rng: random.Random) -> None:
    """Leave a value out."""
    del owner_of(study, at)[at[-1]]


def rename(study: Any, at: tuple, rng: random.Random) -> None:
    """Give a key another name, or repeat an entry of a list."""
    owner = owner_of(study, at)
    if isinstance(owner, list):
        owner.append(copy.deepcopy(owner[at[-1]]))
    else:
        key = str(at[-1])
        name = rng.choice([*map(str, NONSENSE[:20]), key[1:], key + "s"])
        owner[name] = owner.pop(at[-1])


def transplant(study: Any, at: tuple, rng: random.Random) -> None:
    """Put a copy of one part of the study in the place of another."""
    source = rng.choice([*positions(study)])
    value = copy.deepcopy(owner_of(study, source)[source[-1]])
    owner_of(study, at)[at[-1]] = value


def scale(study: Any, at: tuple, rng: random.Random) -> None:
    """Multiply a number, or repeat a text or list."""
    owner, key = owner_of(study, at), at[-1]
    if isinstance(owner[key], int | float | str | list):
        owner[key] = owner[key] * rng.choice([0, -1, 2, 50])


KINDS: tuple[Callable[[Any, tuple, random.Random], None], ...] = (
    replace,
    delete,
    rename,
    transplant,
    scale,
)


def mutated(seed: int) -> tuple[str, str]:
    """Return a mutated study as text, and the scale to plan it at."""
    rng = random.Random(seed)
    text = rng.choice(STUDIES).read_text(encoding="utf-8")
    study = yaml.load(text, Loader)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        rng.choice(KINDS)(study, rng.choice([*positions(study)]), rng)
    text = yaml.safe_dump(study, sort_keys=False, allow_unicode=True)
    if rng.random() < 0.2:
        where = rng.randrange(len(text))
        text = text[:where] + rng.choice("{}[]:&*!|>%@`\"'#\t,-?0") + text[where:]
    return text, rng.choice(["full", "full", "laptop", "smoke"])


def outcome_of(path: Path, scale: str) -> str:
    """Plan a study and render its words; return its message, or nothing."""
    begun = time.monotonic()
    try:
        check_words(Plan(path, scale))
        message = ""
    except LabmillError as error:
        message = str(error)
    assert time.monotonic() - begun < MOST_SECONDS * SLOW
    return message


@pytest.mark.parametrize("seed", range(MUTATIONS))
def test_a_mutated_study_gets_one_message(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # One cache for all: most words of a mutated study are those of the study.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.parent / "cache"))
    text, scale = mutated(seed)
    path = tmp_path / "wrong.yaml"
    path.write_text(text, encoding="utf-8")
    message = outcome_of(path, scale)
    if message:
        assert message.startswith(str(path)), message
        assert message.count("\n") < MOST_LINES, message
        assert len(message) < LONGEST_MESSAGE, message
