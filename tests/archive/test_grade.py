"""An assignment's requirements are met or not, and why; one archive or a class."""

import csv
import json
from pathlib import Path

import pytest
import yaml

from helpers.archives import packed_again
from helpers.synthetic_results import STUDY
from labmill.archive.assignment import load_assignment, requirement_checks
from labmill.archive.grade import Grade, Rules, as_csv, grade, grade_class
from labmill.archive.records import open_results
from labmill.archive.reproduce import draw, probability_of_finding
from labmill.cli import main
from labmill.core.errors import LabmillError
from labmill.core.files import read_json, write_json

NOWHERE = Path("nowhere")  # the synthetic dataset is invented


def assignment(folder: Path, **spec: object) -> Path:
    """Write an assignment file."""
    path = folder / "assignment.yaml"
    path.write_text(yaml.safe_dump({"title": "Exercise 3"} | spec))
    return path


def failed(results: Path, spec: Path) -> dict[str, list[str]]:
    """Return the requirements of an assignment that are not met, and why."""
    read = load_assignment(spec)
    base = spec.parent / read.base if read.base else None
    checks = requirement_checks(read, open_results(results), base).checks
    return {check.key: list(check.problems) for check in checks if check.problems}


def test_tasks_of_the_handed_out_study_give_their_marks(results: Path, tmp_path: Path):
    tasks = [
        {"text": "Compare.", "marks": 3, "answers": ["network", "results"]},
        {"text": "Prune *well*.", "marks": 2, "answers": ["attention"]},
        {"text": "Discuss."},
    ]
    base = STUDY | {"report": STUDY.get("report", {}) | {"tasks": tasks}}
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base, sort_keys=False))
    spec = assignment(tmp_path, marks={"seeds": 1})
    found = requirement_checks(
        load_assignment(spec), open_results(results), tmp_path / "base.yaml"
    )
    said = {one.key: list(one.problems) for one in found.checks}
    assert said["task 1"] == said["task 3"] == []
    assert said["task 2"] == ["no result about attention"]
    assert found.marks == {"task 1": 3.0, "task 2": 2.0, "seeds": 1}


def test_all_met(packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    spec = assignment(tmp_path, variants=["cnn", "vit_sin_relu"], seeds=3, scale="full")
    command = ["grade", str(packed), "--spec", str(spec), "--data", str(NOWHERE)]
    assert main(command) == 0
    found = capsys.readouterr().out
    assert found.startswith("# Exercise 3\n")
    assert "Ada Lovelace, M21AIE225, DL 1" in found and "- [ ]" not in found
    assert "not checked: split, weights" in found


def test_missing_variants_seeds_and_scale(results: Path, tmp_path: Path):
    spec = assignment(tmp_path, variants=["cnn", "vgg"], seeds=4, scale="laptop")
    assert failed(results, spec) == {
        "variants": ["vgg is missing"],
        "seeds": ["cnn: 3 finished (seeds [0, 1, 2])"],
        "scale": ["scale is full"],
    }


def test_openings(results: Path, tmp_path: Path):
    path = results / "cnn/seed1/dense/metrics.json"
    write_json(path, read_json(path) | {"test_openings": 3})
    assert failed(results, assignment(tmp_path)) == {
        "openings": ["cnn seed 1 dense: opened for 3 networks"]
    }
    assert failed(results, assignment(tmp_path, openings=3)) == {}


def test_differences_from_the_base_study(results: Path, tmp_path: Path):
    base = STUDY | {"title": "Handed out", "seeds": [0, 1, 2, 5]}
    base["defaults"] = {
        **STUDY["defaults"],
        "training": {"epochs": 10, "learning_rate": 2e-3},
    }
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base, sort_keys=False))
    found = failed(results, assignment(tmp_path, base="base.yaml"))
    assert "defaults.training.epochs 10 → 6" in found["base"]
    assert not any(line.startswith("title") for line in found["base"])
    # Seeds may differ, but none of those handed out may be left out.
    free = assignment(
        tmp_path,
        base="base.yaml",
        may_differ=["title", "defaults.training", "search", "seeds"],
    )
    found = failed(results, free)
    assert found.keys() == {"base seeds"}
    assert "cnn: no finished run of seeds [5]" in found["base seeds"]


def test_wrong_assignment(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(LabmillError, match=r"varients.*did you mean 'variants'"):
        grade(packed, Rules(assignment(tmp_path, varients=["cnn"])))
    assert main(["grade", str(packed), "--spec", str(tmp_path / "none.yaml")]) == 2
    assert "no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("marks", {"reprot": 2}, "did you mean 'report'?"),
        ("marks", {"seeds": -1}, "expected 0 to 1000"),
        ("may_differ", ["titel"], "did you mean 'title'?"),
        ("base", "none.yaml", "no such file"),
        ("base", "", "found ''"),
    ],
)
def test_names_in_an_assignment_are_checked(tmp_path, key, value, words):
    with pytest.raises(LabmillError, match=rf"assignment.yaml:\d+: {key}") as caught:
        load_assignment(assignment(tmp_path, **{key: value}))
    assert words in str(caught.value)


def test_archives_of_one_name_are_told_apart(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    paths = [tmp_path / name / "s.zip" for name in "ab"]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(packed.read_bytes())
    folder = tmp_path / "gradescope"
    more = ["--gradescope", str(folder), "--csv", str(tmp_path / "t.csv")]
    spec = ["--spec", str(assignment(tmp_path)), "--data", str(NOWHERE)]
    main(["grade", *map(str, paths), *spec, *more])
    assert {path.name for path in folder.iterdir()} == {"a-s", "b-s"}
    with (tmp_path / "t.csv").open(newline="") as file:
        assert [row["archive"] for row in csv.DictReader(file)] == [
            "a/s.zip",
            "b/s.zip",
        ]
    assert "a/s.zip and b/s.zip: 18 equal networks" in capsys.readouterr().out


@pytest.mark.parametrize("given", [["--jobs", "0"], ["--rerun", "-1"]])
def test_numbers_of_the_command_are_checked(given, capsys):
    with pytest.raises(SystemExit):
        main(["grade", "a.zip", "--spec", "s.yaml", *given])
    assert "expected a whole number, at least" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "path", "words"),
    [
        ("--csv", "fodler/t.csv", "'fodler' is not a folder; did you mean 'folder'?"),
        ("--json", "folder", "found a folder; expected the name of a file"),
        ("--html", "file/t.html", "'file' is not a folder"),
        ("--gradescope", "file", "file: cannot be written: File exists"),
    ],
)
def test_files_to_write_are_checked_before_the_archives(
    option, path, words, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setattr("labmill.archive.grade.grade_class", None)
    spec = ["--spec", str(assignment(tmp_path))]
    assert main(["grade", "x.zip", *spec, option, path]) == 2
    assert words in capsys.readouterr().err


def test_a_class_with_a_hostile_archive(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "b.zip").write_bytes(b"no zip")
    spec = assignment(tmp_path)
    table, full = tmp_path / "t.csv", tmp_path / "t.json"
    archives = [str(tmp_path / "b.zip"), str(packed), str(tmp_path / "none.zip")]
    files = ["--csv", str(table), "--json", str(full), "--data", str(NOWHERE)]
    assert main(["grade", *archives, "--spec", str(spec), "--jobs", "2", *files]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["b.zip", packed.name, "none.zip"]
    assert "not an archive" in lines[1] and "Ada Lovelace" in lines[2]
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["report"] for row in rows] == ["", "met", ""]
    assert rows[0]["error"] and rows[1]["roll_number"] == "M21AIE225"
    found = json.loads(full.read_text())
    assert [one["met"] for one in found] == [False, True, False]


def test_an_archive_that_takes_too_long_stops_no_other(packed: Path, tmp_path: Path):
    rules = Rules(assignment(tmp_path), NOWHERE)
    (found,) = grade_class([packed], rules, limit=0.2)
    assert found.error == "not finished after 0.2 s"


def test_no_formula_reaches_a_spreadsheet():
    found = as_csv([Grade("=cmd|' /C calc'!A0", "x", author={"name": "@SUM(1)"})])
    (row,) = csv.DictReader(found.splitlines())
    assert row["archive"].startswith("'=") and row["name"].startswith("'@")


def test_no_escape_sequence_reaches_a_terminal(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def change(files: dict[str, bytes]) -> None:
        for name in ("studies/synthetic.yaml", "results/synthetic/index.json"):
            text = files[name].replace(b"Ada Lovelace", b"Ada \\u001b[2J")
            files[name] = text.replace(
                b"name: Ada \\u001b[2J", b'name: "Ada \\u001b[2J"'
            )

    changed = packed_again(packed, tmp_path / "x.zip", change)
    for command in (
        ["reproduce", str(changed), "--data", str(NOWHERE)],
        ["grade", str(changed), "--spec", str(assignment(tmp_path))],
        ["grade", str(tmp_path / "\x1b]0;x\x07.zip"), "--spec", str(tmp_path / "\x1b")],
    ):
        main(command)
        found = capsys.readouterr()
        assert "\x1b" not in found.out + found.err
        assert any(word in found.out + found.err for word in ("\\x1b", "U+001B"))


def test_runs_are_drawn_after_submission(packed: Path, tmp_path: Path):
    runs = [f"v:{seed}" for seed in range(15)]
    drawn = draw(runs, 3, archive=packed, secret="a")
    assert drawn == draw(runs[::-1], 3, archive=packed, secret="a")
    assert len({*drawn}) == 3 and drawn != draw(runs, 3, archive=packed, secret="b")
    assert draw(runs[:2], 3, archive=packed, secret="a")
    assert round(probability_of_finding(1, runs=15, drawn=3), 3) == 0.2
    assert round(probability_of_finding(3, runs=15, drawn=3), 2) == 0.52
    assert probability_of_finding(15, runs=15, drawn=1) == 1
