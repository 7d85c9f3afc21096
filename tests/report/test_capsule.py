"""A capsule holds all that its report rests on, and nothing in it can be changed."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finish import finish
from synthetic import make_results

from labmill.errors import LabmillError
from labmill.report import capsule as maker
from labmill.report import reproduce as checker
from labmill.report.capsule import capsule, pack, unpack
from labmill.report.read import Place
from labmill.report.reproduce import Outcome, compare, evaluated, reproduce
from labmill.report.verify import HOLDS, Verdict
from labmill.runtime import read_json

# One small network on real digits: what a rerun through the workflow needs.
SMALL = {
    "title": "Small",
    "data": {"dataset": "digits", "limit": 200, "test_limit": 100},
    "defaults": {
        "model": {"name": "cnn", "layers": ["conv 4", "pool", "flatten"]},
        "training": {"epochs": 2},
    },
    "variants": {"cnn": {}},
    "measure": {"batches": [1], "repeats": 3},
}


@pytest.fixture(scope="module")
def packed(finished_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capsule of the synthetic study."""
    out = tmp_path_factory.mktemp("capsule") / "synthetic.zip"
    capsule(finished_once / "results/synthetic", out)
    return out


def rewritten(packed: Path, out: Path, changes: dict[str, bytes]) -> Path:
    """A capsule with some files replaced or added."""
    with zipfile.ZipFile(packed) as zipped:
        contents = {name: zipped.read(name) for name in zipped.namelist()}
    pack(out, contents | changes)
    return out


def test_holds_study_code_plan_predictions_claims_and_report(packed: Path):
    with zipfile.ZipFile(packed) as zipped:
        names = set(zipped.namelist())
        plan = json.loads(zipped.read("plan.json"))
        about = json.loads(zipped.read("capsule.json"))
    here = "results/synthetic"
    for name in (
        "studies/synthetic.yaml",
        "code/Snakefile",
        "code/src/labmill/plan.py",
        "code/workflow/rules/train.smk",
        "code/profiles/local/config.yaml",
        "code/requirements.lock",
        "data/digits/card.json",
        f"{here}/claims.json",
        f"{here}/report.md",
        f"{here}/cnn/seed2/prune_3/predictions.npz",
        f"{here}/arch/chosen.json",
    ):
        assert name in names
    assert not any(name.endswith((".safetensors", ".pyc")) for name in names)
    assert plan["train cnn/0/dense"]["settings"]["seed"] == 0
    assert {"download", "split", "summarize", "report"} <= set(plan)
    assert len(about["weights"]) == 36 and about["study"] == "synthetic"


def test_equal_content_equal_bytes(packed: Path, finished_once: Path, tmp_path: Path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(finished_once, copy)
    for path in copy.rglob("*.json"):
        path.touch()
    capsule(copy / "results/synthetic", tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_verifies_without_anything_else(
    packed: Path, capsys: pytest.CaptureFixture[str]
):
    assert checker.main([str(packed)]) == 0
    assert HOLDS in capsys.readouterr().out


def test_changed_file_is_refused(packed: Path, tmp_path: Path):
    changed = {"results/synthetic/report.md": b"# Everything is shown\n"}
    with pytest.raises(
        LabmillError, match=r"report\.md is not what capsule\.json says"
    ):
        reproduce(rewritten(packed, tmp_path / "x.zip", changed))


def test_changed_file_with_a_new_digest_is_seen(packed: Path, tmp_path: Path):
    with zipfile.ZipFile(packed) as zipped:
        about = json.loads(zipped.read("capsule.json"))
        name = "results/synthetic/report.md"
        text = zipped.read(name).replace(b"97.0", b"99.0")
    about["files"][name] = maker.sha256(text)
    changes = {name: text, "capsule.json": maker.as_json(about)}
    verdict, _ = reproduce(rewritten(packed, tmp_path / "x.zip", changes))
    assert any("report.md" in said for said in verdict.mismatches)


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "a\\..\\evil"])
def test_nothing_leaves_the_folder(name: str, packed: Path, tmp_path: Path):
    with zipfile.ZipFile(packed) as zipped:
        about = json.loads(zipped.read("capsule.json"))
    about["files"][name] = maker.sha256(b"x")
    changes = {name: b"x", "capsule.json": maker.as_json(about)}
    evil = rewritten(packed, tmp_path / "x.zip", changes)
    with pytest.raises(LabmillError, match="leads out of the capsule"):
        unpack(evil, tmp_path / "inside")
    assert not list(tmp_path.rglob("evil"))


def test_unlisted_file_is_refused(packed: Path, tmp_path: Path):
    more = rewritten(packed, tmp_path / "x.zip", {"code/more.py": b""})
    with pytest.raises(LabmillError, match=r"code/more\.py is in the zip or"):
        unpack(more, tmp_path / "inside")


def test_study_changed_since(results: Path, tmp_path: Path):
    study = results.parents[1] / "studies/synthetic.yaml"
    study.write_text(study.read_text().replace("epochs: 6", "epochs: 7"))
    with pytest.raises(LabmillError, match="has changed since results/synthetic"):
        capsule(results, tmp_path / "x.zip")


def test_wrong_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "x.zip").write_bytes(b"no zip")
    assert checker.main([str(tmp_path / "x.zip")]) == 2
    assert maker.main([str(tmp_path), str(tmp_path / "y.zip")]) == 2
    assert maker.main([]) == 2 and checker.main([]) == 2
    said = capsys.readouterr().out
    assert "not a capsule" in said and "no finished report here" in said


def test_unknown_run_is_named(packed: Path, results: Path):
    index = read_json(results / "index.json")
    with pytest.raises(LabmillError, match=r"RUN: found 'cmn:0'; did you mean 'cnn:0'"):
        evaluated(index, "cmn:0")
    assert evaluated(index, "cnn:1") == [
        f"results/synthetic/cnn/seed1/{stage}/predictions.npz"
        for stage in ("dense", "prune_3")
    ]


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_run_again_is_equal_within_or_different(seeds: int, tmp_path: Path):
    results = finish(tmp_path, *make_results(tmp_path, seeds=seeds))
    index = read_json(results / "index.json")
    place = Place(results, index["results"])
    file = Path("results/synthetic/cnn/seed0/dense/predictions.npz")
    weights = {str(file.with_name("model.safetensors")): maker.sha256(b"now")}
    again = tmp_path / "again"
    (again / file).parent.mkdir(parents=True)
    (again / file.with_name("model.safetensors")).write_bytes(b"now")
    with np.load(tmp_path / file) as arrays:
        then = dict(arrays)

    def outcome(wrong: int) -> Outcome:
        now = {name: array.copy() for name, array in then.items()}
        now["test_logits"][:wrong] = np.roll(now["test_logits"][:wrong], 1, axis=1)
        np.savez(again / file, **now)
        found = compare(index, place, file, again, weights)
        assert found.weights_equal and str(found.outcome) in str(found)
        return found.outcome

    assert outcome(0) is Outcome.EQUAL
    assert outcome(1) is Outcome.WITHIN
    assert outcome(100) is Outcome.DIFFERENT


def test_real_run_is_bit_equal_again(mill: Any, monkeypatch: pytest.MonkeyPatch):
    """Through the real workflow, with the capsule's own code."""
    mill.write({**SMALL, "seeds": [0]})
    done = mill.run("results/tiny/report.html", timeout=550)
    assert done.returncode == 0, done.stdout
    monkeypatch.chdir(mill.directory)
    out = mill.directory / "tiny.zip"
    capsule(Path("results/tiny"), out)
    verdict, (again,) = reproduce(out, "cnn:0")
    assert verdict == Verdict([], [])
    assert again.outcome is Outcome.EQUAL and again.weights_equal
