"""The study cnn_profile and its edit search: terms, jobs, and the whole way in small."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from helpers.data_records import made_card
from helpers.job_records import run_files
from helpers.workflow_run import ROOT
from labmill.architecture_edits.confirm import confirm
from labmill.architecture_edits.propose import FEWEST, INSTANCES, propose
from labmill.core.errors import LabmillError
from labmill.core.files import read_json
from labmill.core.records import Provenance
from labmill.plan import outputs
from labmill.plan.plan import Plan
from labmill.profiling.measure import measure
from labmill.profiling.trace import problems, read_trace
from labmill.search.chosen_settings import resolved_run
from labmill.study.scales import SCALES
from labmill.training.inputs import DatasetFiles
from labmill.training.train import train
from labmill.training.trained_model import TrainedModel

STUDY = ROOT / "studies" / "cnn_profile.yaml"
TINY = """
title: Tiny edits
data: {dataset: digits}
defaults:
  model: {name: cnn, layers: [conv 4 bn, conv 8, pool, flatten, linear 16]}
  training: {epochs: 2, batch_size: 16}
seeds: [0]
variants:
  cnn: {}
  shorter: {model: {layers: [conv 8, pool, flatten, linear 16]}}
measure: {batches: [1], repeats: 3}
edits: {variants: [cnn], trials: 2, epochs: 1, confirm: 1}
"""


@pytest.mark.parametrize("scale", SCALES)
def test_both_networks_stand_on_equal_terms(scale: str):
    plan = Plan(STUDY, scale)
    one, other = (plan.resolve(name) for name in ("vgg16", "vgg16_modified"))
    assert one.training == other.training
    assert one.seeds == other.seeds
    assert "weights" not in {*one.model.arguments, *other.model.arguments}
    small = [
        plan.resolve(name) for name in ("custom", "custom_modified", "custom_four")
    ]
    assert len({entry.training.model_dump_json() for entry in small}) == 1
    assert plan.study.measure.profile


def test_the_laptop_keeps_vggs_layers_and_declares_its_subset():
    full, laptop = Plan(STUDY), Plan(STUDY, "laptop")
    for name in ("vgg16", "vgg16_modified"):
        reduced = laptop.resolve(name)
        # Only the classifier's input shrinks: maps of 1×1 are not stretched to 7×7.
        assert reduced.model.arguments["pooled"] == 1
        whole = full.resolve(name).model.arguments
        assert reduced.model.arguments | {"pooled": 7} == whole
        assert reduced.training.labels
    assert len(laptop.resolve("custom").seeds) >= 3


def write(folder: Path, text: str = TINY) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(text)
    return path


def test_every_edit_is_a_job_before_anything_has_run(tmp_path: Path):
    plan = Plan(write(tmp_path))
    names = {name for name, entry in plan.resolved.items() if entry.chosen}
    assert names == {"cnn_edit0", "cnn_edit1", "cnn_edit2", "cnn_confirmed1"}
    assert plan.resolve("cnn_edit1").training.epochs == 1
    assert plan.resolve("cnn_confirmed1").training == plan.resolve("cnn").training
    before = plan.train_job("cnn_confirmed1", 0).fingerprint
    longer = TINY.replace("epochs: 1, confirm", "epochs: 2, confirm")
    after = Plan(write(tmp_path, longer)).train_job("cnn_confirmed1", 0).fingerprint
    assert before != after, "a confirmed edit depends on the trials"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: cnn, layers: [conv 4 bn, conv 8, pool, flatten, linear 16]",
         "name: vit, patch: 4, dim: 8, heads: 2", "not described by `layers`"),
        ("confirm: 1", "confirm: 3", "only 2 edits are tried"),
        ("variants: [cnn]", "variants: [cmm]", "cmm"),
    ],
)  # fmt: skip
def test_an_impossible_search_is_refused(tmp_path: Path, old, new, message):
    text = TINY.replace(old, new)
    if "vit" in new:
        text = text.replace(
            "  shorter: {model: {layers: [conv 8, pool, flatten, linear 16]}}\n", ""
        )
    with pytest.raises(LabmillError, match=message):
        Plan(write(tmp_path, text))


@pytest.fixture
def digits(tmp_path: Path) -> dict[str, Path]:
    """A few bright and dark images as a split dataset."""
    generator = np.random.default_rng(0)
    labels = np.arange(200) % 10
    images = (
        generator.integers(0, 90, (200, 1, 8, 8)) + 16 * labels[:, None, None, None]
    )
    np.save(tmp_path / "images.npy", images.astype(np.uint8))
    made_card(tmp_path / "card.json", mean=(0.5,), std=(0.3,))
    order = generator.permutation(200)
    parts = {"train": order[:150], "validation": order[150:], "unlabelled": order[:0]}
    np.savez(tmp_path / "split.npz", labels=labels, **parts)
    return {
        "images": tmp_path / "images.npy",
        "card": tmp_path / "card.json",
        "split": tmp_path / "split.npz",
    }


def trained(plan: Plan, name: str, digits: dict, chosen: Path | None, folder: Path):
    """Train a run as its rule does; the folder with its files."""
    at = folder / name
    at.mkdir()
    record = Provenance.of_job(plan.train_job(name, 0).params)
    train(
        resolved_run(record.settings, chosen),
        DatasetFiles(**digits),
        start=None,
        out=run_files(at),
        state=at / "state",
        provenance=record,
        progress=False,
    )
    return at


def test_from_a_profile_to_a_confirmed_edit(tmp_path: Path, digits, monkeypatch):
    monkeypatch.setattr("labmill.architecture_edits.propose.TIMED_S", 0.05)
    monkeypatch.setattr("labmill.profiling.steps.WARM_UP_S", 0.05)
    monkeypatch.setattr("labmill.profiling.profile.TIMED_S", 0.2)
    monkeypatch.setattr("labmill.profiling.profile.PROFILED_S", 0.1)
    plan = Plan(write(tmp_path))
    base = trained(plan, "cnn", digits, None, tmp_path)
    measured, trace = base / "measure.json", base / "trace.json.gz"
    measure(
        TrainedModel(
            **digits,
            model=base / "model.safetensors",
            description=base / "model.json",
        ),
        out=measured,
        trace=trace,
        provenance=Provenance.of_job(plan.measure_job("cnn", 0, "dense").params),
    )
    found = read_json(measured)
    assert [t["batch"] for t in found["latency"]] == [1, 32, 256]
    assert found["profile"]["trace"] == trace.name
    assert problems(read_trace(trace)) == []

    proposed = tmp_path / "edits.json"
    propose(
        DatasetFiles(**digits),
        measure=measured,
        description=base / "model.json",
        out=proposed,
        provenance=Provenance.of_job(plan.propose_job("cnn").params),
    )
    table = read_json(proposed)
    control, *rows = table["ranking"]
    assert control["kind"] == "unchanged"
    assert control["settings"]["model.layers"] == ["conv 4 bn", "conv 8", "pool",
                                                   "flatten", "linear 16"]  # fmt: skip
    assert [row["variant"] for row in rows if row["variant"]] == ["shorter"]
    assert all(row["measured"] for row in rows[:2])
    assert table["correlation"]["n"] >= 3
    noise = table["noise"]
    assert noise["floor"] >= max(-noise["low"], noise["high"]) > 0
    assert noise["n"] >= INSTANCES * FEWEST

    runs = []
    for run in outputs.trial_runs(plan, "cnn"):
        at = trained(plan, run.point, digits, proposed, tmp_path)
        layers = read_json(at / "model.json")["arguments"]["layers"]
        assert layers == table["ranking"][run.rank - 1]["settings"]["model.layers"]
        files = {"history": at / "history.csv", "description": at / "model.json"}
        runs.append(asdict(run) | files)
    confirmed = tmp_path / "confirmed.json"
    confirm(
        proposed=proposed,
        trials=runs,
        out=confirmed,
        provenance=Provenance.of_job(plan.confirm_job("cnn").params),
    )
    choice = read_json(confirmed)
    assert choice["unchanged"]["kind"] == "unchanged"
    assert len(choice["ranking"]) == 2
    last = trained(plan, "cnn_confirmed1", digits, confirmed, tmp_path)
    layers = read_json(last / "model.json")["arguments"]["layers"]
    assert layers == choice["ranking"][0]["settings"]["model.layers"]
