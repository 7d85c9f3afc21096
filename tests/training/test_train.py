"""The rule's one call: files in, files out."""

import csv
import json

import numpy as np
import pytest
import torch

from helpers.data_records import made_card
from helpers.job_records import provenance_of, run_files, save_network
from helpers.training_runs import IMAGE_MODELS, SMALL, equal, images_of, network
from labmill.core.errors import LabmillError
from labmill.study.schema import Model, Run, Start
from labmill.training import checkpoint
from labmill.training.inputs import DatasetFiles
from labmill.training.records import EpochRow, ModelDescription
from labmill.training.train import train

TRAINING = {"epochs": 2, "batch_size": 8, "compile": "off", "precision": "fp32"}


@pytest.fixture
def files(tmp_path):
    """A decoded dataset and a split, as the rules before leave them."""
    data = images_of(40, 10)
    np.save(tmp_path / "images.npy", data.images)
    labels = data.labels.copy()
    labels[data.train[30:]] = -1
    np.savez(
        tmp_path / "split.npz",
        train=data.train[:30],
        validation=data.validation,
        unlabelled=data.train[30:],
        labels=labels,
    )
    scale = {"mean": (0.4,) * 3, "std": (0.2,) * 3}
    made_card(tmp_path / "card.json", channels=3, image_size=32, **scale)
    return tmp_path


def run_of(**changes) -> Run:
    values = {
        "variant": "v",
        "seed": 3,
        "model": Model(name="cnn", arguments=SMALL["cnn"]),
        "training": TRAINING,
    }
    return Run.model_validate({**values, **changes}, strict=False)


def dataset(files) -> DatasetFiles:
    return DatasetFiles(*(files / n for n in ("images.npy", "card.json", "split.npz")))


def trained(files, run: Run, name: str = "out", start=None, same=None):
    out = files / name
    train(
        run,
        dataset(files),
        start=start,
        same=same,
        out=run_files(out, batches=True),
        state=out / "state/abc",
        provenance=provenance_of(run.model_dump(mode="json")),
        progress=False,
    )
    return out


def test_outputs(files):
    out = trained(files, run_of())
    with (out / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(EpochRow.model_fields) and len(rows) == 2
    record = json.loads((out / "model.json").read_text())
    assert (record["name"], record["num_classes"]) == ("cnn", 3)
    assert record["provenance"]["settings"] == run_of().model_dump(mode="json")
    facts = record["training"]
    assert {"status", "parameters", "epochs", "wall_seconds", "device"} <= facts.keys()
    assert {"threads", "precision", "compile", "resumed_at"} <= facts.keys()
    model = checkpoint.load(out / "model.safetensors", out / "model.json")
    assert facts["parameters"] == sum(p.numel() for p in model.parameters())


def test_lost_outputs_come_back_without_training(files):
    first = trained(files, run_of())
    kept = {
        name: (first / name).read_bytes()
        for name in ("model.safetensors", "model.json", "history.csv", "batches.csv")
    }
    for name in kept:
        (first / name).unlink()
    again = trained(files, run_of())
    assert {name: (again / name).read_bytes() for name in kept} == kept


def test_a_choice_that_is_the_base_is_not_trained_again(files):
    """USERS A6."""
    base = trained(files, run_of())
    settings = run_of().model_dump() | {"variant": "best", "rank": 1}
    best = Run.model_validate(settings, strict=False)
    out = trained(files, best, "best", same=base / "model.json")
    assert not (out / "state").exists()
    for name in ("model.safetensors", "history.csv", "batches.csv"):
        assert (out / name).read_bytes() == (base / name).read_bytes()
    description = ModelDescription.read(out / "model.json")
    assert description.provenance.settings["variant"] == "best"
    changed = settings | {"training": {**settings["training"], "learning_rate": 0.5}}
    other = Run.model_validate(changed, strict=False)
    out = trained(files, other, "other", same=base / "model.json")
    assert (out / "state").exists()


def test_the_record_of_a_finished_run_takes_no_room(files):
    out = trained(files, run_of())
    assert (out / "model.safetensors").samefile(out / "state/abc/done.safetensors")


def test_initial_weights_depend_on_the_seed_and_the_rule_alone(files):
    still = {**TRAINING, "epochs": 0}
    torch.manual_seed(1)
    one = trained(files, run_of(training=still), "one")
    torch.manual_seed(2)
    two = trained(files, run_of(training=still), "two")
    three = trained(files, run_of(training=still, seed=4), "three")
    drawn = {**still, "initialisation": "kaiming_normal"}
    four = trained(files, run_of(training=drawn), "four")
    found = [(d / "model.safetensors").read_bytes() for d in (one, two, three, four)]
    assert found[0] == found[1] and len(set(found)) == 3


def test_a_pretext_feeds_a_variant(files):
    pretext = trained(files, run_of(task="rotation", images="unlabelled"), "pretext")
    record = json.loads((pretext / "model.json").read_text())
    assert record["num_classes"] == 4
    begun = checkpoint.read_tensors(pretext / "model.safetensors")
    start = Start(pretext="p", freeze=True)
    out = trained(files, run_of(start=start), start=pretext / "model.safetensors")
    ended = checkpoint.read_tensors(out / "model.safetensors")
    features = [name for name in begun if not name.startswith("head.")]
    assert all(torch.equal(begun[name], ended[name]) for name in features)
    assert ended["head.weight"].shape[0] == 3


def test_a_pretext_leaves_out_the_images_of_the_label_budgets(files):
    seen = {}
    for after in (0, 10, 29):
        seen[after] = dataset(files).training_images(after=after).train.tolist()
    assert seen[10] == seen[0][10:] and seen[29] == seen[0][29:]
    with pytest.raises(LabmillError, match=r"after the first 30; it has 30"):
        trained(files, run_of(task="rotation", after=30))


def test_a_model_that_prepares_itself_sees_the_training_images_first(files):
    still = {**TRAINING, "epochs": 0}
    model = Model(name="speednet", arguments=SMALL["speednet"])
    out = trained(files, run_of(model=model, training=still))
    weight = checkpoint.read_tensors(out / "model.safetensors")["whitening.weight"]
    data = np.load(files / "split.npz")
    pixels = np.load(files / "images.npy")[data["train"]]
    images = (torch.from_numpy(pixels) / 255 - 0.4) / 0.2
    responses = torch.nn.functional.conv2d(images, weight)
    covariance = responses.transpose(0, 1).flatten(1).cov()[:12, :12]
    assert (covariance - torch.eye(12)).abs().max() < 0.1
    # A network that begins from another's weights has its filters from there.
    again = trained(
        files,
        run_of(model=model, training=still, start=Start(pretext="p"), seed=9),
        "again",
        start=out / "model.safetensors",
    )
    begun = checkpoint.read_tensors(again / "model.safetensors")["whitening.weight"]
    assert torch.equal(begun, weight)


def test_a_start_of_another_model_is_refused(files):
    other = trained(
        files, run_of(model=Model(name="lenet", arguments=SMALL["lenet"])), "other"
    )
    with pytest.raises(LabmillError, match=r"other/model\.safetensors: weights of"):
        trained(files, run_of(), start=other / "model.safetensors")


def test_an_empty_part_is_refused(files):
    data = dict(np.load(files / "split.npz"))
    np.savez(files / "split.npz", **{**data, "unlabelled": data["unlabelled"][:0]})
    with pytest.raises(LabmillError, match="'unlabelled' has no images"):
        trained(files, run_of(task="rotation", images="unlabelled"))


# Checkpoints


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_saved_networks_come_back(name, tmp_path):
    model = network(name).to(memory_format=torch.channels_last)
    paths = save_network(model, name, tmp_path, SMALL.get(name, {}))
    assert equal(checkpoint.load(*paths).state_dict(), model.state_dict())
    before = paths[0].read_bytes()
    save_network(checkpoint.load(*paths), name, tmp_path, SMALL.get(name, {}))
    assert paths[0].read_bytes() == before


def test_tied_weights_are_saved(tmp_path):
    tied = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    checkpoint.write_tensors(tied.state_dict(), tmp_path / "t.safetensors")
    found = checkpoint.read_tensors(tmp_path / "t.safetensors")
    assert equal(found, tied.state_dict())


def test_damaged_files_are_named(tmp_path):
    with pytest.raises(LabmillError, match=r"model\.json: cannot be read"):
        checkpoint.load(tmp_path / "model.safetensors", tmp_path / "model.json")
    weights, description = save_network(network(), "cnn", tmp_path, SMALL["cnn"])
    for damage in (weights.read_bytes()[:50], b"", b"x" * weights.stat().st_size):
        weights.write_bytes(damage)
        with pytest.raises(LabmillError, match=r"model\.safetensors: damaged"):
            checkpoint.load(weights, description)
    checkpoint.write_tensors({"a": torch.zeros(1)}, weights)
    with pytest.raises(LabmillError, match=r"model\.safetensors: .*another run"):
        checkpoint.load(weights, description)
