"""A study that starts from pretrained weights, from the mirror to the archive."""

import json
import zipfile

import torch
from test_libraries import SMALLEST, mirrored

from helpers.workflow_run import TINY
from labmill.archive.archive import write_archive
from labmill.archive.reproduce import reproduce
from labmill.training import checkpoint


def study(digest: str, network: str) -> dict:
    model = {
        "name": f"torchvision/{network}",
        "resize": 32,
        "pretrained": True,
        "sha256": digest,
    }
    frozen = {"epochs": 1, "layer_decay": 0.0}
    return TINY | {
        "data": {"dataset": "digits", "limit": 40, "test_limit": 40},
        "defaults": {"model": model, "training": frozen},
        "seeds": [0],
        "variants": {"frozen": {}, "tuned": {"training": {"layer_decay": 0.75}}},
        "pruning": {},
        "compare": {},
    }


def test_weights_are_fetched_once_by_their_own_job(mill, tmp_path_factory, monkeypatch):
    mirror = tmp_path_factory.mktemp("mirror")
    monkeypatch.setenv("LABMILL_MIRROR", str(mirror))
    library, network = SMALLEST
    source, digest = mirrored(mirror, library, network)
    mill.write(study(digest[:16], network))
    jobs = mill.jobs()
    (fetching,) = [job for job in jobs if job.startswith("weights ")]
    assert fetching.startswith(f"weights {library}.{network}-")
    mill.build()
    results = mill.directory / "results/tiny"
    weights = {
        name: checkpoint.read_tensors(results / name / "seed0/dense/model.safetensors")
        for name in ("frozen", "tuned")
    }
    bodies = [
        name
        for name, value in source.items()
        if value.ndim > 1 and not name.startswith(("fc.", "conv1.0."))
    ]
    for name in bodies:
        assert torch.equal(weights["frozen"][f"network.{name}"], source[name]), name
    changed = [
        n
        for n in bodies
        if not torch.equal(weights["tuned"][f"network.{n}"], source[n])
    ]
    assert changed == bodies
    card = json.loads(next(mill.directory.glob("data/weights/*/card.json")).read_text())
    assert card["verified"] and card["licence"] == "BSD-3-Clause"

    archive = tmp_path_factory.mktemp("archive") / "tiny.zip"
    monkeypatch.chdir(mill.directory)
    write_archive(results, archive)
    with zipfile.ZipFile(archive) as zipped:
        names = zipped.namelist()
    assert any(name.startswith("data/weights/") for name in names)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert reproduce(archive)[0].mismatches == []
