"""Whole steps on the bundled digits: files, triples, interruptions, influence."""

import csv
import itertools
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.datasets import load_digits

from helpers.data_records import made_card
from helpers.job_records import provenance_of, run_files, save_network
from labmill.core import progress
from labmill.core.errors import LabmillError
from labmill.plan.run_jobs import DECIDES
from labmill.pruning import loaded_run
from labmill.pruning import step as step_module
from labmill.pruning.controls import control
from labmill.pruning.influence import influence
from labmill.pruning.loaded_run import macs
from labmill.pruning.scoring import Validation
from labmill.pruning.step import prune
from labmill.pruning.structure import Structure
from labmill.study.schema import Pruning, Run
from labmill.training import checkpoint
from labmill.training import trainer as engine
from labmill.training.inputs import DatasetFiles, TrainingJob
from labmill.training.train import train
from labmill.training.trained_model import TrainedModel
from labmill.training.trainer import fit

RUN = {
    "variant": "net",
    "seed": 0,
    "model": {
        "name": "cnn",
        "arguments": {"layers": ["conv 5", "pool", "conv 4 bn", "flatten", "linear 6"]},
    },
}
TRAINING = {"epochs": 3, "learning_rate": 0.01, "compile": "off", "precision": "fp32"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    digits = load_digits()
    np.save(folder / "images.npy", (digits.images * 15.9).astype(np.uint8)[:, None])
    made_card(folder / "card.json")
    order = np.random.default_rng(0).permutation(len(digits.target))
    np.savez(
        folder / "split.npz",
        train=order[:400],
        validation=order[400:700],
        unlabelled=order[:0],
        labels=digits.target.astype(np.int64),
    )
    return {
        n: folder / f
        for n, f in (
            ("images", "images.npy"),
            ("card", "card.json"),
            ("split", "split.npz"),
        )
    }


@pytest.fixture(scope="module")
def dense(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dense")
    run = Run.model_validate({**RUN, "training": TRAINING}, strict=False)
    train(
        run,
        DatasetFiles(**data),
        start=None,
        out=run_files(folder),
        state=folder / "state",
        provenance=provenance_of(run.model_dump(mode="json")),
        progress=False,
    )
    return folder


def settings(number=1, epochs=1, **loop):
    pruning = Pruning(variants=("net",), **loop).model_dump(
        mode="json", include=DECIDES
    )
    run = Run.model_validate({**RUN, "training": TRAINING}, strict=False)
    dumped = run.model_dump(mode="json")
    recipe = dumped.pop("training") | {"epochs": epochs}
    return {"loop": pruning, "finetune": recipe, "run": dumped, "step": number}


def in_folder(data, folder):
    """The network in a folder."""
    names = {"model": "model.safetensors", "description": "model.json"}
    return TrainedModel(**data, **{key: folder / name for key, name in names.items()})


def one_step(data, folder, source, wanted, *, chosen=None):
    """Run a step into `folder`; its record."""
    before = source / "prune.json"
    prune(
        in_folder(data, source),
        before=before if before.exists() else None,
        out=run_files(folder),
        record=folder / "prune.json",
        state=folder / "state",
        provenance=provenance_of(wanted),
        chosen=chosen,
    )
    return json.loads((folder / "prune.json").read_text())


def steps(data, dense, where, most=40, **loop):
    """A whole loop, step by step, as the workflow runs it."""
    source = dense
    for number in itertools.count(1):
        folder = where / f"prune_{number}"
        folder.mkdir()
        record = one_step(data, folder, source, settings(number, **loop))
        yield folder, record
        source = folder
        if record["finished"] or number == most:
            return


def accuracy(data, folder):
    run = Run.model_validate({**RUN, "training": TRAINING}, strict=False)
    network = checkpoint.load(folder / "model.safetensors", folder / "model.json")
    job = TrainingJob(
        training=run.training,
        data=DatasetFiles(**data).training_images(),
        seed=0,
        normalisation=([0.3], [0.37]),
        channels_last=False,
    )
    return Validation(job, torch.device("cpu")).accuracy(network)


def test_a_step_leaves_a_smaller_network_and_says_what_it_cost(data, dense, tmp_path):
    whole = checkpoint.load(dense / "model.safetensors", dense / "model.json")
    (folder, record), (_, second) = steps(data, dense, tmp_path, most=2, remove=0.4)
    network = checkpoint.load(folder / "model.safetensors", folder / "model.json")
    assert (record["loop"], record["step"], record["criterion"]) == (
        "prune",
        1,
        "squares",
    )
    assert record["units"] == {"conv1": 3, "conv2": 2, "linear1": 4}
    assert Structure(network).widths() == record["units"]
    assert {k: len(v) for k, v in record["removed"].items()} == {
        "conv1": 2,
        "conv2": 2,
        "linear1": 2,
    }
    assert record["parameters"] == sum(p.numel() for p in network.parameters())
    assert record["macs"] == macs(network) < record["dense_macs"] == macs(whole)
    assert record["before"] == pytest.approx(accuracy(data, dense))
    assert record["finetuned"] == pytest.approx(accuracy(data, folder))
    assert second["before"] == record["finetuned"]
    assert second["dense_macs"] == record["dense_macs"]
    assert not record["finished"]
    described = json.loads((folder / "model.json").read_text())
    assert described["training"]["status"] == "completed"
    assert described["training"]["parameters"] == record["parameters"]
    # Both come from one job; each file is sealed by a digest of its own content.
    jobs = [one["provenance"] for one in (described, record)]
    assert jobs[0].pop("sha256") != jobs[1].pop("sha256")
    assert jobs[0] == jobs[1]
    with (folder / "history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1"]


def test_a_running_step_publishes_what_it_does(data, dense, tmp_path, monkeypatch):
    states = []
    monkeypatch.setattr(progress, "_write", lambda: states.append(progress._state))
    monkeypatch.setattr(progress, "EVERY", 0.0)
    progress.open_state(tmp_path / "x.log")
    _, record = next(steps(data, dense, tmp_path, most=1))
    progress.close_state()
    choosing = next(s for s in states if s.doing == "choosing units to remove")
    assert choosing.validation_accuracy == record["before"] and choosing.epochs is None
    tuning = [s for s in states if s.doing == "fine-tuning"]
    assert tuning[0].validation_accuracy == record["after_pruning"]
    begun = next(s for s in tuning if s.epochs)
    assert begun.validation_accuracy == record["after_pruning"], "until an epoch ends"
    assert tuning[-1].epoch == 1


def test_after_pruning_is_the_network_without_its_units(data, dense, tmp_path):
    record = one_step(data, tmp_path, dense, settings(epochs=0, remove=2))
    network = checkpoint.load(dense / "model.safetensors", dense / "model.json")
    structure = Structure(network)
    for layer, units in record["removed"].items():
        structure.remove(layer, units)
    loaded = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(loaded[k], v) for k, v in network.state_dict().items())
    assert (
        record["after_pruning"]
        == record["finetuned"]
        == pytest.approx(accuracy(data, tmp_path))
    )


def test_in_turn_takes_one_layer_after_the_other_until_it_costs_too_much(
    data, dense, tmp_path
):
    done = list(steps(data, dense, tmp_path, scope="in_turn", remove=1, drop=0.02))
    records = [record for _, record in done]
    assert list(dict.fromkeys(r["layer"] for r in records)) == [
        "conv1",
        "conv2",
        "linear1",
    ]
    assert records[-1]["finished"]
    for before, after in itertools.pairwise(records):
        assert after["before"] == before["finetuned"]
        changed = {k for k in after["units"] if after["units"][k] != before["units"][k]}
        assert changed == {after["layer"]}
        lost = before["before"] - before["finetuned"]
        ended = lost > 0.02 + 1e-9 or before["units"][before["layer"]] == 1
        assert (after["layer"] != before["layer"]) == ended
    last = records[-1]
    lost = last["before"] - last["finetuned"]
    assert lost > 0.02 or last["units"]["linear1"] == 1


def test_the_loop_ends_at_the_share_of_operations(data, dense, tmp_path):
    records = [
        r for _, r in steps(data, dense, tmp_path, scope="global", remove=2, macs=0.6)
    ]
    shares = [r["macs"] / r["dense_macs"] for r in records]
    assert records[-1]["finished"]
    assert shares[-1] <= 0.6 < min(shares[:-1], default=1)


def test_nothing_left_is_no_error(data, dense, tmp_path):
    most = {"layers": ("linear1",), "remove": 100}
    ((first, record),) = steps(data, dense, tmp_path, **most)
    assert record["units"]["linear1"] == 1
    assert record["finished"]
    again = tmp_path / "prune_2"
    again.mkdir()
    record = one_step(data, again, first, settings(2, **most))
    assert record["finished"]
    assert record["removed"] == {}
    assert record["finetuned"] == record["before"]
    assert (
        load_file(again / "model.safetensors").keys()
        == load_file(first / "model.safetensors").keys()
    )


def same(first, second):
    a, b = (load_file(f / "model.safetensors") for f in (first, second))
    assert all(torch.equal(a[key], value) for key, value in b.items())
    records = [json.loads((f / "prune.json").read_text()) for f in (first, second)]
    assert records[0] == records[1]


@pytest.mark.parametrize("criterion", ["taylor", "random", "squares"])
def test_killed_while_fine_tuning_ends_with_the_same_bits(
    data, dense, tmp_path, monkeypatch, criterion
):
    wanted = settings(epochs=3, criterion=criterion, layers=("conv2", "linear1"))
    whole, broken = (tmp_path / name / "prune_1" for name in ("whole", "broken"))
    for folder in (whole, broken):
        folder.mkdir(parents=True)
    one_step(data, whole, dense, wanted)
    note = engine.Trainer.note

    def killed(self, *arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return note(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(engine.Trainer, "note", killed)
        with pytest.raises(SystemExit) as left:
            one_step(data, broken, dense, wanted)
    assert left.value.code == 75
    assert not (broken / "prune.json").exists()
    one_step(data, broken, dense, wanted)
    same(whole, broken)
    training = json.loads((broken / "model.json").read_text())["training"]
    assert training["resumed_at"] == [[1, 0]]


def test_killed_before_its_files_were_written(data, dense, tmp_path, monkeypatch):
    wanted = settings()
    whole, broken = (tmp_path / name / "prune_1" for name in ("whole", "broken"))
    for folder in (whole, broken):
        folder.mkdir(parents=True)
    one_step(data, whole, dense, wanted)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(step_module.PruneRecord, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            one_step(data, broken, dense, wanted)
    monkeypatch.setattr(engine.Trainer, "run", killed)
    one_step(data, broken, dense, wanted)
    same(whole, broken)


def test_fine_tuning_begins_from_what_a_search_chose(
    data, dense, tmp_path, monkeypatch
):
    ranking = [{"settings": {"training.batch_size": 77, "training.epochs": 9}}]
    (tmp_path / "chosen.json").write_text(json.dumps({"base": {}, "ranking": ranking}))
    wanted = settings()
    wanted["run"]["fixed"] = ["training.epochs"]
    seen = []

    def noted(network, job):
        seen.append(job.training)
        return fit(network, job)

    monkeypatch.setattr(loaded_run, "fit", noted)
    one_step(data, tmp_path, dense, wanted, chosen=tmp_path / "chosen.json")
    assert [(t.batch_size, t.epochs) for t in seen] == [(77, 1)]


def test_bad_settings_say_what_is_allowed(data, dense, tmp_path):
    with pytest.raises(
        LabmillError, match=r"found 'conv9'.*allowed: conv1, conv2, linear1"
    ):
        one_step(data, tmp_path, dense, settings(layers=("conv9",)))
    with pytest.raises(LabmillError, match="conv1 has none"):
        one_step(data, tmp_path, dense, settings(criterion="batchnorm"))


def test_a_split_without_validation_cannot_prune(data, dense, tmp_path):
    split = tmp_path / "split.npz"
    with np.load(data["split"]) as file:
        np.savez(split, **{**file, "validation": np.zeros(0, np.int64)})
    with pytest.raises(LabmillError, match="no validation images"):
        one_step({**data, "split": split}, tmp_path, dense, settings())


def test_influence_is_what_removal_really_costs(data, dense, tmp_path):
    run = Run.model_validate({**RUN, "training": TRAINING}, strict=False)
    criteria = ["squares", "l1", "taylor", "random"]
    wanted = {"run": run.model_dump(mode="json"), "layers": None, "criteria": criteria}
    influence(
        in_folder(data, dense),
        out=tmp_path / "influence.json",
        provenance=provenance_of(wanted),
    )
    found = json.loads((tmp_path / "influence.json").read_text())
    assert found["accuracy"] == pytest.approx(accuracy(data, dense))
    for layer, width in (("conv1", 5), ("conv2", 4), ("linear1", 6)):
        rows = found["layers"][layer]
        assert {len(scores) for scores in rows["predicted"].values()} == {width}
        assert set(rows["rank_correlation"]) == set(criteria)
        for unit in range(width):
            folder = tmp_path / layer / str(unit)
            shutil.copytree(dense, folder, ignore=lambda *_: ["state"])
            network = checkpoint.load(
                folder / "model.safetensors", folder / "model.json"
            )
            Structure(network).remove(layer, [unit])
            save_network(network, "cnn", folder, {})
            expected = found["accuracy"] - accuracy(data, Path(folder))
            assert rows["accuracy_drop"][unit] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("kind", "epochs"), [("scratch", 3 + 2), ("longer", 2)])
def test_controls_are_trained_as_long_as_the_pruned_network(
    data, dense, tmp_path, kind, epochs
):
    done = [folder for folder, _ in steps(data, dense, tmp_path, most=2, remove=1)]
    recipes = settings()
    out = tmp_path / kind
    out.mkdir()
    wanted = {
        "control": kind,
        "run": recipes["run"] | {"training": TRAINING},
        "finetune": recipes["finetune"],
    }
    control(
        in_folder(data, dense),
        steps=[folder / "model.json" for folder in done],
        out=run_files(out),
        state=out / "state",
        provenance=provenance_of(wanted),
    )
    written = json.loads((out / "model.json").read_text())
    like = json.loads(
        ((done[-1] if kind == "scratch" else dense) / "model.json").read_text()
    )
    assert written["arguments"] == like["arguments"]
    assert written["training"]["epochs"] == epochs
    network = checkpoint.load(out / "model.safetensors", out / "model.json")
    assert written["training"]["macs"] == macs(network)
    tensors = load_file(out / "model.safetensors")
    source = load_file((done[-1] if kind == "scratch" else dense) / "model.safetensors")
    moved = [
        (tensors[k] - source[k]).abs().mean() for k in tensors if tensors[k].ndim > 1
    ]
    # From scratch the weights have nothing in common, after fine-tuning most of it.
    assert (min(moved) > 0.05) == (kind == "scratch")
