"""Attention distance, roll-out and probes, against cases worked out by hand."""

import copy
import json

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from helpers.workflow_run import TINY, Mill
from labmill.analysis.attention import (
    attention_arrays,
    attention_distance,
    features,
    patch_distances,
    position_similarity,
    samples,
)
from labmill.analysis.probe import linear_probe
from labmill.core import registry
from labmill.core.errors import LabmillError
from labmill.data.arrays import Part
from labmill.plan.plan import Plan
from labmill.report.sections.attention.examined import Examined


def vit(**arguments) -> torch.nn.Module:
    """A small transformer with weights that depend on nothing else."""
    torch.manual_seed(0)
    given = {"patch": 4, "dim": 8, "depth": 2, "heads": 2} | arguments
    network = registry.build("vit", num_classes=3, image_size=16, **given)
    return network.eval().requires_grad_(False)


IMAGES = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def apart(side: int, stride: float) -> np.ndarray:
    """Distances between all patch centres, in pixels."""
    points = [(y * stride, x * stride) for y in range(side) for x in range(side)]
    return np.array([[np.hypot(a - c, b - d) for c, d in points] for a, b in points])


@pytest.mark.parametrize(("patch", "stride", "side"), [(4, None, 4), (8, 4, 3)])
def test_even_attention_has_the_mean_distance(patch: int, stride: int, side: int):
    network = vit(patch=patch, stride=stride)
    for block in network.encoder:
        block.attention.project.linear.weight.zero_()
        block.attention.project.linear.bias.zero_()
    found = attention_distance(network, IMAGES)
    expected = apart(side, 4).mean()
    assert found.shape == (2, 2)
    assert torch.allclose(found, torch.full_like(found, expected))
    assert patch_distances(network).mean().item() == pytest.approx(expected)


def test_distance_is_the_weighted_mean_over_patches():
    network = vit(class_token="mean")
    maps = network.attention_maps(IMAGES).numpy()
    by_hand = (maps * apart(4, 4)).sum(-1).mean((1, 3))
    assert np.allclose(attention_distance(network, IMAGES), by_hand, atol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"class_token": "mean"},
        {"class_token": "after"},
        {"class_token": "inserted", "class_token_layer": 1},
    ],
)
def test_features_and_looks_of_every_place_of_the_token(arguments: dict):
    network = vit(**arguments)
    layers = features(network, IMAGES)
    first = {None: 99, 0: 0, 1: 1, 3: 99}[network.token_layer]
    for number, layer in enumerate(layers):
        assert layer["patches"].shape == (3, 8)
        assert ("token" in layer) == (number >= first)
    tokens = network.hidden_states(IMAGES)[-1]
    assert torch.equal(layers[-1]["patches"], tokens[:, -16:].mean(1))

    arrays = {k: v.numpy() for k, v in attention_arrays(network, IMAGES).items()}
    found = Examined("a", None, arrays)
    assert found.side == 4
    for seen in (*found.seen(found.mean_maps), found.rollout()):
        there = seen[~np.isnan(seen).any((1, 2))]
        assert np.allclose(there.sum((1, 2)), 1)
    assert not np.isnan(found.rollout()).any()


def test_positions_of_neighbours_and_of_all_others_by_hand():
    table = vit(positions="sinusoidal").positions_table().double().numpy()
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    steps = apart(4, 1)
    near, far = [], []
    for one in range(16):
        for two in range(16):
            if steps[one, two] == 1:
                near.append(unit[one] @ unit[two])
            elif one != two:
                far.append(unit[one] @ unit[two])
    expected = {"neighbours": np.mean(near), "others": np.mean(far)}
    found = position_similarity(vit(positions="sinusoidal"))
    assert found.own.model_dump() == pytest.approx(expected)
    assert found.sinusoidal.model_dump() == pytest.approx(expected, abs=1e-6)
    learned = position_similarity(vit(positions="learnable"))
    assert learned.sinusoidal == found.sinusoidal != learned.own
    assert position_similarity(vit(positions="none")) is None
    assert position_similarity(vit(patch=16)) is None


def test_rollout_multiplies_the_layers():
    maps = np.zeros((2, 1, 1, 5, 5), np.float16)
    maps[0, 0, 0] = np.eye(5)  # each token looks at itself
    maps[1, 0, 0, :, 3] = 1  # all look at the third patch
    found = Examined("a", None, {"maps": maps})
    assert np.array_equal(found.rollout()[0], [[0, 0], [1, 0]])


def test_samples_take_classes_in_turn():
    labels = np.array([2, 2, 0, 1, 0, 2, 1])
    part = Part(np.zeros((7, 1, 2, 2), np.uint8), labels, np.arange(7))
    assert labels[samples(part, 5)].tolist() == [0, 1, 2, 0, 1]
    assert len(samples(part, 50)) == 7


def test_probe_agrees_with_scikit_learn():
    random = np.random.default_rng(0)
    centres = random.normal(size=(4, 6))
    labels = random.integers(0, 4, 600)
    x = centres[labels] + random.normal(size=(600, 6))
    x[:, 5] = 7.0  # never varies
    torch_x, torch_y = torch.from_numpy(x), torch.from_numpy(labels)
    ours = linear_probe(torch_x[:400], torch_y[:400], torch_x[400:], torch_y[400:])
    scaled = (x - x[:400].mean(0)) / np.maximum(x[:400].std(0, ddof=1), 1e-8)
    theirs = LogisticRegression(C=1 / (2 * 1e-3 * 400)).fit(scaled[:400], labels[:400])
    assert abs(ours - theirs.score(scaled[400:], labels[400:])) <= 0.005
    assert ours > 0.5


def test_probe_of_features_that_say_nothing_is_chance():
    x = torch.ones(90, 3)
    labels = torch.arange(90) % 3
    assert linear_probe(x, labels, x, labels) == pytest.approx(1 / 3)


def test_examine_runs_as_a_job(mill: Mill):
    study = copy.deepcopy(TINY) | {"examine": {"variants": ["vit"], "images": 3}}
    mill.write(study)
    folder = "results/tiny/vit/seed0/dense"
    done = mill.run(f"{folder}/examine.json")
    assert done.returncode == 0, done.stdout
    figures = json.loads((mill.directory / folder / "examine.json").read_text())
    assert np.shape(figures["attention_distance"]) == (1, 2)
    assert [layer["layer"] for layer in figures["probe"]] == [0, 1]
    assert figures["validation_images"] == 20 and figures["even_distance"] > 0
    with np.load(mill.directory / folder / "examine.npz") as arrays:
        assert arrays["maps"].shape == (1, 3, 2, 5, 5)
        assert arrays["pixels"].shape == (3, 1, 8, 8)


def test_only_what_has_attention_is_examined(mill: Mill):
    path = mill.write(TINY | {"examine": {"variants": ["vit", "cnn"]}})
    with pytest.raises(LabmillError, match=r"cnn is a cnn.*models that have: .*vit"):
        Plan(path)
    path = mill.write(TINY | {"examine": {"variants": ["vti"]}})
    with pytest.raises(LabmillError, match="did you mean 'vit'"):
        Plan(path)
