"""An archive holds all that its report rests on, and no change of it goes unseen."""

import json
import shutil
from pathlib import Path

import pytest

from helpers.archives import contents_of, packed_again
from labmill.archive.archive import (
    CONTENTS,
    code_files,
    commit_of,
    pack,
    write_archive,
)
from labmill.archive.reproduce import reproduce
from labmill.archive.unpack import unpack
from labmill.cli import main
from labmill.core.errors import LabmillError
from labmill.core.files import read_json, write_json

HERE = "results/synthetic"


def test_holds_study_code_plan_weights_predictions_claims_and_report(packed: Path):
    files = contents_of(packed)
    for name in (
        "studies/synthetic.yaml",
        "code/Snakefile",
        "code/LICENSE",
        "code/README.md",
        "code/src/labmill/plan/plan.py",
        "code/workflow/rules/train.smk",
        "code/profiles/local/config.yaml",
        "code/requirements.lock",
        "data/digits/card.json",
        f"{HERE}/claims.json",
        f"{HERE}/report.md",
        f"{HERE}/cnn/seed2/prune_3/predictions.npz",
        f"{HERE}/cnn/seed2/prune_3/model.safetensors",
        f"{HERE}/arch/chosen.json",
    ):
        assert name in files, name
    assert not any(name.endswith(".pyc") for name in files)
    plan, about = json.loads(files["plan.json"]), json.loads(files[CONTENTS])
    trained = [job["settings"] for job in plan.values() if job["kind"] == "train"]
    assert {"cnn"} < {run["variant"] for run in trained}
    assert {0, 1, 2} <= {run["seed"] for run in trained if run["variant"] == "cnn"}
    assert {job["kind"] for job in plan.values()} == {
        *("download", "split", "train", "prune", "select"),
        *("evaluate", "measure", "summarize", "report"),
    }
    assert len(about["weights"]) == 36 and about["study"] == "synthetic"


def test_weights_stay_out_when_asked_or_too_large(
    finished_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    results = finished_once / HERE
    write_archive(results, tmp_path / "a.zip", weights=False)
    monkeypatch.setattr("labmill.archive.archive.LARGEST_WEIGHTS", 1000)
    write_archive(results, tmp_path / "b.zip")
    for name in ("a.zip", "b.zip"):
        assert not any("safetensors" in one for one in contents_of(tmp_path / name))


def test_equal_content_equal_bytes(packed: Path, finished_once: Path, tmp_path: Path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(finished_once, copy)
    for path in copy.rglob("*.json"):
        path.touch()
    write_archive(copy / HERE, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_verifies_in_another_place(packed: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["reproduce", str(packed), "--data", "nowhere"]) == 0
    found = capsys.readouterr().out
    assert "[met] The report follows from" in found
    assert "[unchecked] Split and labels" in found


def test_changed_file_is_refused(packed: Path, tmp_path: Path):
    files = contents_of(packed) | {f"{HERE}/report.md": b"# Everything is shown\n"}
    pack(tmp_path / "x.zip", files)
    with pytest.raises(
        LabmillError, match=r"report\.md is not what archive\.json says"
    ):
        unpack(tmp_path / "x.zip", tmp_path / "out")


def test_changed_file_with_a_new_digest_is_seen(packed: Path, tmp_path: Path):
    def change(files: dict[str, bytes]) -> None:
        name = f"{HERE}/report.md"
        files[name] = files[name].replace(b"97.0", b"99.0")

    changed = packed_again(packed, tmp_path / "x.zip", change)
    verdict, _ = reproduce(changed, data=Path("nowhere"))
    assert any("report.md" in problem for problem in verdict.mismatches)


def test_study_changed_since(results: Path, tmp_path: Path):
    study = results.parents[1] / "studies/synthetic.yaml"
    study.write_text(study.read_text().replace("epochs: 6", "epochs: 7"))
    with pytest.raises(LabmillError, match="has changed since results/synthetic"):
        write_archive(results, tmp_path / "x.zip")


def test_author_of_the_configuration(results: Path, tmp_path: Path):
    study = results.parents[1] / "studies/synthetic.yaml"
    text = study.read_text().replace("  name: Ada Lovelace\n", "")
    study.write_text(text)
    index = read_json(results / "index.json")
    assert index["provenance"]["settings"]["study"]["author"]["name"] == "Ada Lovelace"
    write_json(results / "index.json", index)
    write_archive(results, tmp_path / "x.zip")


def test_code_and_its_commit(tmp_path: Path):
    (tmp_path / "src/labmill/__pycache__").mkdir(parents=True)
    (tmp_path / "src/labmill/plan.py").touch()
    (tmp_path / "src/labmill/__pycache__/plan.pyc").touch()
    (tmp_path / "CITATION.cff").touch()
    assert [*code_files(tmp_path)] == ["code/CITATION.cff", "code/src/labmill/plan.py"]
    assert commit_of(tmp_path) is None


def test_wrong_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "x.zip").write_bytes(b"no zip")
    assert main(["reproduce", str(tmp_path / "x.zip")]) == 2
    assert main(["archive", str(tmp_path), str(tmp_path / "y.zip")]) == 2
    said = capsys.readouterr().err
    assert "not an archive" in said and "no finished report here" in said


@pytest.mark.parametrize(
    ("run", "own_images", "words"),
    [
        ("cnn:99", False, "run: found 'cnn:99'; did you mean 'cnn:"),
        ("cnn:0", True, "the study's own images are not in the archive"),
    ],
)
def test_a_run_that_cannot_be_trained_is_said_before_the_checks(
    run: str,
    own_images: bool,
    words: str,
    packed: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    module = "labmill.archive.reproduce"
    monkeypatch.setattr(f"{module}.check_foreign", None)
    monkeypatch.setattr(f"{module}.is_image_folder", lambda opened: own_images)
    assert main(["reproduce", str(packed), run]) == 2
    assert words in capsys.readouterr().err
