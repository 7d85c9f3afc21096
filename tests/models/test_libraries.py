"""Networks of torchvision and timm, by name: from scratch, and from their weights."""

import hashlib
import json
import re
from pathlib import Path

import pytest
import torch
import torchvision
import yaml
from safetensors.torch import save_file

from helpers.workflow_run import TINY
from labmill.conformance.check_model import check_model
from labmill.conformance.try_build import try_build
from labmill.core import registry
from labmill.core.errors import LabmillError
from labmill.models.foreign import arguments_of, example, head_name
from labmill.models.pretrained import prepare_weights
from labmill.plan.plan import Plan
from labmill.training import checkpoint
from labmill.training.train import begin_from

FACTS = {"num_classes": 3, "image_size": 32, "in_channels": 1}
# Small ones of different kinds: convolutions, separable ones, attention.
SAMPLE = [
    ("torchvision", "squeezenet1_1"),
    ("torchvision", "mobilenet_v3_small"),
    ("timm", "test_resnet"),
    ("timm", "test_vit"),
]
SMALLEST = ("torchvision", "shufflenet_v2_x0_5")


def build(library: str, network: str, **more):
    return checkpoint.build(library, network=network, **FACTS | more)


def mirrored(mirror: Path, library: str, network: str) -> tuple[dict, str]:
    """Put random weights of a network into a mirror; return them and their digest."""
    torch.manual_seed(1)
    source = registry.load("models", library).weights(network)
    path = mirror / library / source.file
    path.parent.mkdir(parents=True)
    if library == "timm":
        weights = registry.load("models", library).create(network, 1000, 3, 160)
        save_file(weights.state_dict(), path)
    else:
        weights = torchvision.models.get_model(network)
        torch.save(weights.state_dict(), path)
    return weights.state_dict(), hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(("library", "network"), SAMPLE)
def test_a_network_works_in_every_stage(library, network):
    facts = FACTS | {"image_size": 64}
    # Compiling takes minutes, and is not theirs to get right.
    found = check_model(
        f"{library}/{network}", {}, facts, without=["compiled step", "bfloat16"]
    )
    assert [one for one in found if not one.works] == []
    assert len(found) == 7


@pytest.mark.parametrize(("library", "network"), SAMPLE)
def test_images_are_scaled_where_that_is_declared(library, network):
    made = build(library, network, resize=64, image_size=16).eval()
    assert made(torch.rand(2, 1, 16, 16)).shape == (2, 3)
    assert head_name(made).startswith("network.")
    again = checkpoint.build(library, **arguments_of(made))
    again.load_state_dict(made.state_dict())
    assert torch.equal(again.eval()(example(made)), made(example(made)))


@pytest.mark.parametrize(("library", "network"), SAMPLE)
@pytest.mark.parametrize("resize", [None, 96])
def test_weights_are_taken_over_but_for_the_head(library, network, resize, tmp_path):
    source, _ = mirrored(tmp_path, library, network)
    made = build(library, network, resize=resize)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    fitted = registry.load("models", library).fit_weights(made, source, network)
    begin_from(made, fitted, tmp_path)
    head, prefix = head_name(made), "" if resize is None else "network."
    stem = next(n for n, m in made.named_modules() if isinstance(m, torch.nn.Conv2d))
    for name, value in made.state_dict().items():
        given = source[name.removeprefix(prefix)]
        if name.startswith(f"{head}."):
            assert torch.equal(value, before[name]), name
        elif name == f"{stem}.weight":
            # Grey is the same as three equal channels.
            assert torch.allclose(value, given.sum(1, keepdim=True), atol=1e-6)
        elif value.shape == given.shape:
            assert torch.equal(value, given), name
        else:
            assert "pos_embed" in name, name


def test_weights_of_another_network_are_refused(tmp_path):
    source, _ = mirrored(tmp_path, *SMALLEST)
    made = build("torchvision", "squeezenet1_1")
    library = registry.load("models", "torchvision")
    with pytest.raises(LabmillError, match="they are of another network"):
        library.fit_weights(made, source, "squeezenet1_1")


def fetched(folder: Path, library: str, network: str, sha256: str | None) -> Path:
    """Fetch weights; return their card."""
    folder.mkdir(exist_ok=True)
    card = folder / "card.json"
    prepare_weights(
        library,
        network,
        sha256=sha256,
        model=folder / "model.safetensors",
        card=card,
        downloads=folder / "downloads",
    )
    return card


@pytest.mark.parametrize(("library", "network"), [SMALLEST, ("timm", "test_vit")])
def test_weights_are_fetched_from_a_mirror(library, network, tmp_path, monkeypatch):
    monkeypatch.setenv("LABMILL_MIRROR", str(tmp_path / "mirror"))
    source, digest = mirrored(tmp_path / "mirror", library, network)
    card = fetched(tmp_path, library, network, digest[:12])
    record = json.loads(card.read_text())
    assert record["verified"] and digest in record["digests"].values()
    assert record["licence"] and record["source"].startswith("https://")
    found = checkpoint.read_tensors(tmp_path / "model.safetensors")
    assert found.keys() == source.keys()
    assert all(torch.equal(found[name], source[name]) for name in source)


def test_a_digest_that_nobody_publishes_is_noted(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("LABMILL_MIRROR", str(tmp_path / "mirror"))
    _, digest = mirrored(tmp_path / "mirror", "timm", "test_vit")
    card = fetched(tmp_path, "timm", "test_vit", None)
    assert not json.loads(card.read_text())["verified"]
    assert f"found {digest}, which `sha256`" in caplog.text


def test_a_file_that_is_not_the_declared_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("LABMILL_MIRROR", str(tmp_path / "mirror"))
    library, network = SMALLEST
    _, digest = mirrored(tmp_path / "mirror", library, network)
    monkeypatch.setattr(
        "labmill.download.download.DatasetFetch.addresses", lambda *_: iter(())
    )
    with pytest.raises(LabmillError) as caught:
        fetched(tmp_path, library, network, None)
    said = str(caught.value)
    # The file's name has how its digest begins.
    published = re.search(r"-([0-9a-f]+)\.pth", said)[1]
    assert said.startswith(f"weights of {library}/{network}: could not download 1 file")
    assert f"found sha256 {digest}, expected {published}" in said
    assert "LABMILL_MIRROR" in said and not (tmp_path / "card.json").exists()


def test_what_is_no_file_of_weights_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("LABMILL_MIRROR", str(tmp_path / "mirror"))
    library, network = SMALLEST
    mirrored(tmp_path / "mirror", library, network)
    (path,) = (tmp_path / "mirror" / library).iterdir()
    path.write_bytes(b"<html>no such file</html>")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(LabmillError, match="no file of weights"):
        fetched(tmp_path, library, network, digest)


def planned(folder: Path, model: dict) -> Plan:
    path = folder / "study.yaml"
    study = TINY | {"variants": {"a": {"model": model}}, "pruning": {}, "compare": {}}
    path.write_text(yaml.safe_dump(study))
    return Plan(path)


def test_a_name_with_a_slash_names_library_and_network(tmp_path):
    plan = planned(tmp_path, {"name": "torchvision/resnet18", "resize": 64})
    model = plan.resolve("a").model
    assert model.name == "torchvision"
    assert model.arguments == {"network": "resnet18", "resize": 64}
    assert not plan.weights and "torchvision" in plan.train_job("a", 0).record["code"]


def test_another_network_of_the_library_keeps_the_options(tmp_path):
    path = tmp_path / "study.yaml"
    first = {"name": "timm/test_vit", "resize": 160, "pretrained": True}
    study = TINY | {
        "defaults": {"model": first},
        "variants": {
            "vit": {},
            "resnet": {"model": {"name": "timm/test_resnet"}},
            "cnn": {"model": {"name": "cnn"}},
        },
        "pruning": {},
        "compare": {},
    }
    path.write_text(yaml.safe_dump(study))
    plan = Plan(path)
    assert plan.resolve("resnet").model.arguments == {
        "network": "test_resnet",
        "resize": 160,
        "pretrained": True,
    }
    assert plan.resolve("cnn").model.arguments == {}
    assert {*plan.weights} == {"timm.test_vit", "timm.test_resnet"}
    job = plan.train_job("vit", 0)
    assert (
        job.consumes["weights"] == plan.weights_job("timm.test_vit").fingerprint
        and "weights" not in plan.train_job("cnn", 0).consumes
    )


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"name": "torchvision"}, "missing; torchvision needs 'network'"),
        (
            {"name": "torchvison/resnet18"},
            "found 'torchvison'; did you mean 'torchvision'",
        ),
        (
            {"name": "torchvision/resnet18", "resise": 64},
            "unknown argument of torchvision; did you mean 'resize'",
        ),
        (
            {"name": "torchvision/resnet18", "resize": 0},
            "found 0; is 1 to 1024 pixels",
        ),
    ],
)
def test_a_mistake_is_one_message(tmp_path, model, words):
    with pytest.raises(LabmillError) as caught:
        planned(tmp_path, model)
    assert words in str(caught.value)


def test_a_library_that_is_not_installed_is_one_message(tmp_path, monkeypatch):
    monkeypatch.setattr("labmill.study.check_models.find_spec", lambda name: None)
    with pytest.raises(LabmillError, match="timm is not installed; `pip install timm`"):
        planned(tmp_path, {"name": "timm/test_vit"})


@pytest.mark.parametrize(
    ("library", "network", "words"),
    [
        ("torchvision", "resnet19", "no network 'resnet19'; did you mean 'resnet18'"),
        ("timm", "tset_vit", "timm has no network 'tset_vit'; did you mean 'test_vit'"),
        ("torchvision", "alexnet", "Output size is too small"),
    ],
)
def test_a_network_that_does_not_exist_or_fit_is_named_before_training(
    library, network, words
):
    assert words in str(try_build(library, FACTS | {"network": network}))


def test_a_network_that_computes_while_it_is_built_is_checked_too():
    facts = {"num_classes": 10, "image_size": 64, "in_channels": 3}
    found = try_build("torchvision", facts | {"network": "regnet_x_400mf"})
    assert isinstance(found, int) and found > 10**6


def test_no_search_decides_which_weights_are_fetched(tmp_path):
    path = tmp_path / "study.yaml"
    model = {"name": "torchvision/resnet18"}
    matrix = {"model.pretrained": [True, False]}
    study = TINY | {
        "variants": {"a": {"model": model}, "b": {"chosen": {"search": "how"}}},
        "search": {"how": {"variant": "a", "matrix": matrix, "seeds": [0]}},
        "pruning": {},
        "compare": {},
    }
    path.write_text(yaml.safe_dump(study))
    with pytest.raises(
        LabmillError, match=r"variants.b.chosen: the search varies model"
    ):
        Plan(path)
