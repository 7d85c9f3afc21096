"""Features, neighbours, mixing weights and confused rotations, against definitions."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch import nn

from helpers.data_records import made_card
from helpers.job_records import provenance_of, save_network
from helpers.report_records import results_with
from helpers.workflow_run import ROOT, TINY, Mill
from labmill.analysis.features import (
    confused_rotations,
    mixing_of,
    neighbours,
    principal,
    represent,
)
from labmill.core import registry
from labmill.core.errors import LabmillError
from labmill.plan.plan import Plan
from labmill.report.sections.features.represented import represented
from labmill.training.trained_model import TrainedModel

FEATURES = torch.randn(40, 6, generator=torch.Generator().manual_seed(0)).double()
STRETCHED = FEATURES * torch.tensor([5.0, 3.0, 1.0, 0.5, 0.2, 0.1]).double()


def test_principal_components_are_those_of_the_reference():
    points, shares = principal(STRETCHED)
    reference = PCA(2).fit(STRETCHED.numpy())
    assert np.allclose(shares, reference.explained_variance_ratio_)
    expected = reference.transform(STRETCHED.numpy())
    for mine, theirs in zip(points.T.numpy(), expected.T, strict=True):
        assert np.allclose(mine, theirs) or np.allclose(mine, -theirs)
    again, _ = principal(STRETCHED.clone())
    assert torch.equal(points, again)


def test_features_that_never_vary_have_no_variance_to_explain():
    points, shares = principal(torch.ones(5, 3).double())
    assert shares == [0.0, 0.0] and not points.any()


def test_neighbours_are_those_of_the_reference():
    reference = NearestNeighbors(n_neighbors=4, metric="cosine").fit(FEATURES)
    expected = reference.kneighbors(FEATURES)[1][:, 1:]
    assert np.array_equal(neighbours(FEATURES, 3).numpy(), expected)
    assert neighbours(FEATURES[:3], 7).shape == (3, 2)


class Turner(nn.Module):
    """Sees the first pixel: right on all that are turned by less than 180 degrees."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        corners = torch.stack(
            [x[:, 0, 0, 0], x[:, 0, -1, 0], x[:, 0, 0, -1], x[:, 0, 0, -1]], 1
        )
        return corners


def test_rotations_are_counted_by_class():
    images = torch.zeros(3, 1, 4, 4)
    images[:, 0, 0, 0] = 1  # quarter turns carry it to bottom left, then bottom right
    labels = torch.tensor([0, 1, 1])
    counts = np.array(confused_rotations(Turner(), iter([(images, labels)]), 2))
    assert counts.shape == (2, 4, 4)
    assert counts.sum(axis=2).tolist() == [[1] * 4, [2] * 4]
    assert counts[1, 0, 0] == counts[1, 1, 1] == 2
    assert counts[1, 3, 2] == 2, "the fourth is taken for the third"


def test_mixing_weights_are_means_over_a_class():
    torch.manual_seed(0)
    model = registry.build("dynamic_cnn", num_classes=2, widths=(4, 4, 4, 4, 4)).eval()
    x, y = torch.randn(6, 3, 32, 32), torch.tensor([0, 1, 0, 1, 1, 1])
    batches = [(x[:4], y[:4]), (x[4:], y[4:])]
    with torch.inference_mode():
        found = mixing_of(model, iter(batches), 2)
        blocks = model.mixing_weights(x)
    for block, weights in enumerate(blocks):
        for one in (0, 1):
            mine = weights[y == one].numpy()
            assert np.allclose(found.mean[block][one], mine.mean(0), atol=1e-6)
            assert np.allclose(found.sd[block][one], mine.std(0), atol=1e-6)
    for name, arguments in (("resnet", {}), ("dynamic_cnn", {"mixing": "single"})):
        other = registry.build(name, num_classes=2, widths=[4] * 4, **arguments)
        assert mixing_of(other, iter(batches), 2) is None


@pytest.fixture
def trained(tmp_path: Path) -> TrainedModel:
    """A pool, a split and a network that tells rotations, on disk."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (60, 3, 32, 32)).astype(np.uint8)
    np.save(tmp_path / "images.npy", images)
    labels = np.arange(60) % 3
    parts = {"train": np.arange(30), "validation": np.arange(30, 60)}
    unlabelled = np.array([], np.int64)
    np.savez(tmp_path / "split.npz", **parts, unlabelled=unlabelled, labels=labels)
    scale = {"mean": (0.5,) * 3, "std": (0.2,) * 3}
    made_card(tmp_path / "card.json", channels=3, image_size=32, **scale)
    model = registry.build(
        "resnet", num_classes=4, image_size=32, widths=(4, 8), blocks=(1, 1)
    )
    paths = save_network(model, "resnet", tmp_path, {}, num_classes=4)
    names = ("images.npy", "card.json", "split.npz")
    return TrainedModel(*(tmp_path / name for name in names), *paths)


def test_files_are_about_validation_images_only(trained: TrainedModel, tmp_path: Path):
    written = {
        "arrays": tmp_path / "represent.npz",
        "out": tmp_path / "represent.json",
    }
    settings = {"images": 20, "queries": 4, "neighbours": 3}
    settings |= {"normalisation": "dataset", "task": "rotation"}
    represent(trained, **written, provenance=provenance_of(settings))
    figures = json.loads(written["out"].read_text())
    with np.load(written["arrays"]) as file:
        arrays = dict(file)
    assert arrays["points"].shape == (20, 2) and arrays["labels"].shape == (20,)
    assert arrays["neighbours"].shape == (4, 4)
    assert set(arrays["neighbours"].ravel()) <= set(range(30, 60))
    assert np.array_equal(arrays["neighbour_labels"], arrays["neighbours"] % 3)
    assert len(set(arrays["neighbour_labels"][:3, 0])) == 3, "queries of all classes"
    assert np.array(figures["rotations"]).sum() == 4 * 20
    assert 0 <= figures["agreement"] <= 1 and figures["mixing"] is None
    again = written["arrays"].read_bytes()
    represent(trained, **written, provenance=provenance_of(settings))
    assert written["arrays"].read_bytes() == again


STUDY = TINY | {
    "seeds": [0],
    "defaults": {
        "model": {"name": "dynamic_cnn", "widths": [4, 4, 4]},
        "training": {"epochs": 1, "batch_size": 32, "log_batches": 1},
    },
    "pretexts": {"turns": {"images": "train", "after": 40}},
    "variants": {
        f"{way}_{n}": {"start": start, "training": {"labels": n}}
        for way, start in (("scratch", None), ("tuned", {"pretext": "turns"}))
        for n in (20, 40)
    },
    "compare": {
        "start": {
            "levels": {
                "from scratch": ["scratch_20", "scratch_40"],
                "pretrained": ["tuned_20", "tuned_40"],
            }
        }
    },
    "pruning": {},
    "represent": {
        "variants": ["turns", "tuned_20"],
        "images": 30,
        "neighbours": 3,
    },
    "figures": [
        *("pretext_curves", "rotation_confusion", "feature_map", "neighbours"),
        *("mixing_weights", "loss_and_accuracy"),
    ],
}


@pytest.mark.slow
def test_a_pretext_and_what_begins_from_it_reach_the_report(mill: Mill):
    mill.write(STUDY)
    mill.build()
    text = (mill.directory / "results/tiny/report.md").read_text()
    for name in ("pretext_curves", "rotation_confusion", "feature_map", "label_budget"):
        assert f"figures/{name}" in text, name
    for name in ("neighbours", "mixing_weights"):
        assert text.count(f"figures/{name}-") == 2, "of the pretext and the fine-tuned"
    assert "figures/loss_and_accuracy" in text
    pretext = mill.directory / "results/tiny/turns/seed0/pretext/represent.json"
    assert np.array(json.loads(pretext.read_text())["rotations"]).shape == (10, 4, 4)
    claims = json.loads((mill.directory / "results/tiny/claims.json").read_text())
    # A study of seconds: every network is named as untrained, and none is compared.
    known = {claim["id"]: claim["statement"] for claim in claims}
    assert "guessing: 10\N{NO-BREAK SPACE}%" in known["untrained:tuned_20"]
    assert not [name for name in known if name.startswith("labels:")]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"represent": {"variants": ["turn"]}}, "no variant or pretext 'turn'"),
        (
            {"published": {"source": "x", "variants": {}, "history": {"turn": {}}}},
            "no variant or pretext 'turn'",
        ),
    ],
)
def test_names_are_checked(tmp_path: Path, change: dict, says: str):
    mill = Mill(tmp_path)
    with pytest.raises(LabmillError, match=says):
        Plan(mill.write(STUDY | change))


def test_features_are_asked_of_networks_that_read_images(tmp_path: Path):
    original = ROOT / "studies/transformer_arithmetic.yaml"
    name = next(iter(Plan(original).resolved))
    path = tmp_path / "sequences.yaml"
    path.write_text(f"{original.read_text()}\nrepresent: {{variants: [{name}]}}\n")
    with pytest.raises(LabmillError, match="reads no images"):
        Plan(path)


def test_a_pretext_that_no_selected_variant_begins_from_is_not_trained(tmp_path: Path):
    mill = Mill(tmp_path)
    chosen = Plan(mill.write(STUDY | {"run": ["scratch_20", "scratch_40"]}))
    assert "turns" not in chosen.resolved
    assert "turns" in Plan(mill.write(STUDY)).resolved
    alone = {"variants": {"one": {}}, "compare": {}, "represent": None}
    assert "turns" in Plan(mill.write(STUDY | alone)).resolved


def test_what_is_missing_is_left_out(tmp_path: Path):
    results = results_with(tmp_path, {"a": {}}, {"represent": {"variants": ["a"]}})
    assert list(represented(results)) == []
