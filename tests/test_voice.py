"""The check of wording finds each phrase wherever people read text, and nothing else."""

import importlib.util
from pathlib import Path

import pytest

from helpers.workflow_run import ROOT

SPEC = importlib.util.spec_from_file_location(
    "check_voice", ROOT / "scripts" / "check_voice.py"
)
check_voice = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(check_voice)

FOUND = [
    "Results stand in a folder.",
    "The same command goes on.",
    "A table beside a figure.",
    "The file is made anew.",
    "A lock of its\nown.",
    "What the study asks for.",
    "The jobs of which there are two.",
    "Two files could not be had.",
    "Its difference, whose interval is shown.",
    "There is no file that fits.",
    "The network as it is.",
    "It removes all of them.",
    "The lock goes away by itself.",
    "It runs once again.",
]
LITERAL = ["`snakemake` stands for this.", "Hash it as it is written.", "Besides, no."]


@pytest.mark.parametrize("sentence", FOUND)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "# Title\n{}\n"),
        ("a.py", 'def f():\n    """{}"""\n'),
        ("a.py", 'raise ValueError(f"""{}{{x}}""")\n'),
        ("a.yaml", "# {}\na: 1\n"),
        ("a.md.j2", "{}\n"),
    ],
)
def test_a_phrase_is_found(tmp_path: Path, sentence: str, name: str, text: str):
    path = tmp_path / name
    lines = "\n# " if name == "a.yaml" else "\n"
    path.write_text(text.format(sentence.replace("\n", lines)))
    found = list(check_voice.check(path))
    assert len(found) == 1 and found[0].startswith(f"{path}:"), found


def test_a_phrase_is_found_in_a_comment(tmp_path: Path):
    path = tmp_path / "a.py"
    path.write_text("x = 1\n# a file of its\n# own\n")
    assert next(check_voice.check(path)).startswith(f"{path}:2: ")


@pytest.mark.parametrize(
    "text", [*LITERAL, "`what the study says`", "```\nbeside\n```"]
)
def test_literal_words_and_code_are_left_alone(tmp_path: Path, text: str):
    path = tmp_path / "a.md"
    path.write_text(text)
    assert not list(check_voice.check(path))
