"""Results from Python: the commands of docs/api.md, run on a real study."""

import json
import re

import numpy as np
import pytest
from PIL import Image

import labmill
from helpers.workflow_run import ROOT, Mill
from labmill.api.notebook import notebook
from labmill.core.errors import LabmillError


@pytest.fixture
def results(finished: Mill, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(finished.directory)
    return labmill.open("results/tiny")


def test_every_command_of_the_page_runs(results):
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) >= 4
    known: dict = {}
    for block in blocks:
        exec(block.replace("results/quickstart", "results/tiny"), known)
    assert len(known["predictions"]) == 100


def test_predictions_are_those_that_were_scored(results):
    row = results.runs[
        (results.runs["variant"] == "cnn")
        & (results.runs["seed"] == 1)
        & (results.runs["stage"] == "dense")
    ].iloc[0]
    said = results.predictions("cnn", seed=1)
    assert (said["label"] == said["prediction"]).mean() == row["test_accuracy"]


@pytest.mark.parametrize("stage", ["dense", "prune_1"])
def test_a_loaded_network_predicts_what_was_recorded(results, stage: str):
    kept = results.predictions("cnn", seed=0, stage="dense")
    images = np.load("data/digits/images.npy")[kept["image"]]
    found = results.load_model("cnn", seed=0, stage=stage).predict(images)
    assert np.isfinite(found.filter(like="logit_").to_numpy()).all()
    if stage == "dense":
        logits = [name for name in kept if name.startswith("logit_")]
        np.testing.assert_allclose(found[logits], kept[logits], atol=1e-4)


def test_a_picture_and_a_wrong_shape(results, tmp_path):
    model = results.load_model("vit")
    Image.new("RGB", (30, 20), "white").save(tmp_path / "white.png")
    assert len(model.predict(tmp_path / "white.png")) == 1
    with pytest.raises(LabmillError, match=r"\(2, 3, 8, 8\).*\(N, 1, 8, 8\)"):
        model.predict(np.zeros((2, 3, 8, 8), np.uint8))


def test_unknown_names_are_one_message(results, tmp_path):
    with pytest.raises(LabmillError, match=r"no variant 'cn'.*did you mean 'cnn'"):
        results.history("cn")
    with pytest.raises(LabmillError, match="no seed 7"):
        results.history("cnn", seed=7)
    with pytest.raises(LabmillError, match="no finished results"):
        labmill.open(tmp_path)


def test_the_cells_of_the_notebook_run(results):
    made = json.loads(notebook("results/tiny"))
    code = ["".join(c["source"]) for c in made["cells"] if c["cell_type"] == "code"]
    known: dict = {}
    for cell in code:
        exec(re.sub(r"^history\.plot.*$", "", cell, flags=re.M), known)
    assert known["wrong"] is not None and "{" not in "".join(code)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        *(("predictions.npz", kept) for kept in (0, 0.5)),
        *(("history.csv", kept) for kept in (0, 0.5)),
        ("runs.csv", 0),  # one that ends early is a table
    ],
)
def test_a_damaged_file_is_one_message(results, name: str, kept: float):
    run = results.run("cnn")
    path = results.folder / name if name == "runs.csv" else run / name
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(LabmillError, match=re.escape(str(path))):
        found = labmill.open(results.folder)
        _ = found.predictions("cnn"), found.history("cnn"), found.runs
