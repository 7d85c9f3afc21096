"""A wrong name or scale is one message, for every command that takes one."""

from pathlib import Path

import pytest

from labmill.cli import main

COMMANDS = (
    "plan",
    "check",
    "clean",
    "verify",
    "rerender",
    "archive",
    "notebook",
    "watch",
)
WRONG = [
    *(["nosuch"], ["Mine"], ["my study"], ["../x"], ["Smoke/tiny"], ["smoke"]),
    *(["tiny", "--scale", "Smoke"], ["a" * 300], ["\x1b[31m"], ["."]),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_name_is_one_message(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    (tmp_path / "studies").mkdir()
    for name in ("tiny", "Mine"):
        (tmp_path / f"studies/{name}.yaml").write_text("title: x\nvariants: {a: {}}\n")
    monkeypatch.chdir(tmp_path)
    for words in WRONG:
        assert main([command, *words]) == 2, words
        message = capsys.readouterr().err
        assert message.startswith("Error: ") and message.count("\n") == 1, message
        assert "\x1b" not in message and len(message) < 1000


@pytest.mark.parametrize(
    "words",
    [
        ["check", "model", "cnn", "--arguments", "{"],
        ["check", "model", "cnn", "--arguments", "[1]"],
        ["plan", "tiny", "--set", "training.epochs={"],
        ["init", "file/inside"],
        ["reproduce", "nosuch.zip"],
        ["reproduce", "."],
        ["grade", "file", "--spec", "nosuch.yaml"],
        ["options", "file/options.md"],
    ],
)
def test_a_wrong_argument_is_one_message(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/tiny.yaml").write_text("title: x\nvariants: {a: {}}\n")
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    message = capsys.readouterr().err
    assert message.startswith("Error: ") and message.count("\n") == 1, message
