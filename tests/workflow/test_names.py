"""A wrong name or scale is one message, for every command that takes one."""

from pathlib import Path

import pytest

from labmill.cli import main
from labmill.core.errors import LabmillError
from labmill.workflow.targets import parse_study

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
    *([""], ["studies/nosuch.yaml"], ["results/nosuch/report.html"]),
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
        ["plan", "tiny", "--set", "smoke.seeds=[1]", "--scale", "smoke"],
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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "study: found ''; expected a name"),
        (".", "study: found '.'; expected a name"),
        ("results/nosuch/report.html", "studies/nosuch.yaml: no such study"),
        ("studies/nosuch.yaml", "studies/nosuch.yaml: no such study"),
        ("mine", "no studies/ folder here; `labmill init FOLDER` writes one"),
        ("quickstrat", "did you mean labmill's own 'quickstart'?"),
    ],
)
def test_a_folder_without_studies_says_so(
    text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LabmillError) as caught:
        parse_study(text)
    assert words in str(caught.value) and "vit_" not in str(caught.value)


def test_a_configuration_that_is_no_utf_8_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/tiny.yaml").write_text("title: x\nvariants: {a: {}}\n")
    (tmp_path / "config.yaml").write_text("author: {}\n", encoding="utf-16")
    monkeypatch.chdir(tmp_path)
    assert main(["run", "tiny", "--", "--dry-run"]) == 2
    message = capsys.readouterr().err
    assert "config.yaml: found another encoding" in message, message


def test_a_path_of_results_is_their_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/mine.yaml").touch()
    monkeypatch.chdir(tmp_path)
    for text in ("mine", "results/mine", "results/mine/", "results/mine/report.html"):
        assert parse_study(text) == "mine"
        assert parse_study(text.replace("mine", "smoke/mine", 1)) == "smoke/mine"
