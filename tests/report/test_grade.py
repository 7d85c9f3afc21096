"""An assignment's requirements are met or not, and why; in words, with an exit code."""

import json
from pathlib import Path

import pytest
import yaml
from synthetic import STUDY

from labmill.errors import LabmillError
from labmill.report import grade as grader
from labmill.report.capsule import capsule
from labmill.report.grade import grade
from labmill.report.verify import HOLDS
from labmill.runtime import read_json, write_json


@pytest.fixture(scope="module")
def handed_in(finished_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capsule of the synthetic study."""
    out = tmp_path_factory.mktemp("handed_in") / "x.zip"
    capsule(finished_once / "results/synthetic", out)
    return out


def assignment(folder: Path, **spec: object) -> Path:
    """An assignment file."""
    path = folder / "assignment.yaml"
    path.write_text(yaml.safe_dump({"title": "Exercise 3"} | spec))
    return path


def failed(handed_in: Path, spec: Path) -> dict[str, list[str]]:
    """The requirements that are not met, and why."""
    checks = grade(handed_in, spec).checks
    return {c.requirement: list(c.problems) for c in checks if not c.met}


def test_all_met(handed_in: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    spec = assignment(tmp_path, variants=["cnn", "vit_sin_relu"], seeds=3, scale="full")
    assert grader.main([str(handed_in), str(spec)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("# Exercise 3\n")
    assert "Ada Lovelace, M21AIE225, DL 1" in said
    assert "6 of 6 requirements are met." in said and "- [ ]" not in said


def test_missing_variants_seeds_and_scale(
    handed_in: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    spec = assignment(tmp_path, variants=["cnn", "vgg"], seeds=4, scale="laptop")
    problems = [
        said for reasons in failed(handed_in, spec).values() for said in reasons
    ]
    assert problems == [
        "vgg is missing",
        "cnn: 3 finished (seeds [0, 1, 2])",
        "it was run at scale full",
    ]
    assert grader.main([str(handed_in), str(spec)]) == 1
    assert "- [ ] The required variants are there: cnn, vgg." in capsys.readouterr().out


def test_openings(results: Path, tmp_path: Path):
    path = results / "cnn/seed1/dense/metrics.json"
    write_json(path, read_json(path) | {"test_openings": 3})
    lines = results / "test_openings.jsonl"
    own = next(s for s in lines.read_text().splitlines() if "cnn/seed1/dense" in s)
    # The second network twice: its job was killed and run again.
    more = [json.loads(own) | {"weights": digest} for digest in ("1", "1", "2")]
    lines.write_text(lines.read_text() + "".join(json.dumps(m) + "\n" for m in more))
    capsule(results, tmp_path / "x.zip")
    (problems,) = [
        reasons
        for said, reasons in failed(tmp_path / "x.zip", assignment(tmp_path)).items()
        if "opened" in said
    ]
    assert problems == ["cnn seed 1 dense: opened for 3 networks"]
    allowed = failed(tmp_path / "x.zip", assignment(tmp_path, openings=3))
    assert not any("opened" in said for said in allowed)


def test_differences_from_the_base_study(handed_in: Path, tmp_path: Path):
    base = STUDY | {"title": "Handed out", "seeds": [0, 1, 2]}
    base["defaults"] = {
        **STUDY["defaults"],
        "training": {"epochs": 10, "learning_rate": 2e-3},
    }
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base, sort_keys=False))
    spec = assignment(tmp_path, base="base.yaml")
    made = grade(handed_in, spec)
    assert 'title "Handed out" → "Five synthetic networks"' in made.differences
    assert "defaults.training.epochs 10 → 6" in made.differences
    (foreign,) = [r for said, r in failed(handed_in, spec).items() if "differ" in said]
    assert "defaults.training.epochs 10 → 6" in foreign
    assert not any(said.startswith("title") for said in foreign)
    free = assignment(
        tmp_path, base="base.yaml", may_differ=["title", "defaults.training", "search"]
    )
    assert failed(handed_in, free) == {}


def test_tampered_work_is_not_met(results: Path, tmp_path: Path):
    report = results / "report.md"
    report.write_text(report.read_text().replace("97.0", "99.0"))
    page = results / "report.html"
    page.write_text(page.read_text().replace("<p>", "<p>It is proven. ", 1))
    capsule(results, tmp_path / "x.zip")
    problems = failed(tmp_path / "x.zip", assignment(tmp_path))
    assert list(problems) == [HOLDS]
    named = {said.split(":")[0].split(",")[0] for said in problems[HOLDS]}
    assert named == {"report.md", "report.html"}


def test_wrong_assignment(
    handed_in: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(LabmillError, match=r"varients.*did you mean 'variants'"):
        grade(handed_in, assignment(tmp_path, varients=["cnn"]))
    assert grader.main([str(handed_in), str(tmp_path / "none.yaml")]) == 2
    assert grader.main([]) == 2
    assert "no such file" in capsys.readouterr().out
