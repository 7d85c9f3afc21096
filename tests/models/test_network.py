"""What the base class of networks gives, and networks that are none of its kind."""

import json

import pytest
import torch
from torch import nn

from helpers.job_records import save_network
from labmill.core import registry
from labmill.models.network import Network
from labmill.training import checkpoint

FOREIGN = """
from torch import nn

def build(*, num_classes, image_size, in_channels=3, width=2):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes * width))
"""


@pytest.mark.parametrize(
    "name", [name for name in registry.names("models") if not registry.library(name)]
)
def test_every_family_can_be_pruned_and_has_features(name):
    build = {"num_classes": 10, "image_size": 32, "in_channels": 3}
    network = registry.build(name, **build)
    for member in ("arguments", "prunable", "pruners", "forward_features", "head"):
        assert hasattr(network, member), member


def test_a_foreign_network_is_saved_with_the_arguments_of_the_call(
    monkeypatch, tmp_path
):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "foreign.py").write_text(FOREIGN)
    monkeypatch.chdir(tmp_path)
    shape = {"num_classes": 5, "image_size": 8, "in_channels": 1}
    model = checkpoint.build("foreign", **shape)
    model(torch.zeros(1, 1, 8, 8))
    _, description = save_network(model, "foreign", tmp_path, {}, **shape)
    record = json.loads(description.read_text())
    assert record["arguments"] == {"width": 2} and record["num_classes"] == 5


def test_a_small_network_needs_no_more_than_features():
    class Net(Network):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4, 3)
            self.head = nn.Linear(3, 2)

        def forward_features(self, x):
            return self.body(x)

    net = Net()
    assert net(torch.zeros(5, 4)).shape == (5, 2)
    assert list(net.prunable()) == ["body"] and net.pruners() == {}
    net.reset_head(7)
    assert net(torch.zeros(5, 4)).shape == (5, 7)
