"""Learning rates by depth, and networks of which only the head is trained."""

import pytest
import torch
from torch import nn

from helpers.training_runs import RICH, equal, fitted, network
from labmill.models.foreign import head_name
from labmill.study.check_training import FUSED
from labmill.study.schema import Training
from labmill.training.layer_rates import blocks, shares
from labmill.training.optimizers import Optimizer


def deep() -> nn.Module:
    """A stem, three blocks in a list, a norm, a head; and a separate parameter."""
    net = nn.Module()
    net.stem = nn.Conv2d(1, 4, 3)
    net.layers = nn.ModuleList(nn.ModuleDict({"a": nn.Linear(4, 4)}) for _ in range(3))
    net.norm = nn.LayerNorm(4)
    net.head = nn.Linear(4, 2)
    net.position = nn.Parameter(torch.zeros(1, 4))
    return net


def test_each_layer_has_a_share_of_the_next_ones_rate():
    found = shares(deep(), 0.5)
    assert found == {
        "position": 1 / 16,
        "stem.weight": 1 / 16,
        "stem.bias": 1 / 16,
        **{
            f"layers.{i}.a.{k}": 0.5 ** (3 - i)
            for i in range(3)
            for k in ("weight", "bias")
        },
        "norm.weight": 0.5,
        "norm.bias": 0.5,
        "head.weight": 1.0,
        "head.bias": 1.0,
    }


@pytest.mark.parametrize("name", ["cnn", "resnet", "vit", "vgg", "speednet"])
def test_rates_fall_from_the_head_to_the_images(name):
    net = network(name)
    found = shares(net, 0.5)
    assert found.keys() == dict(net.named_parameters()).keys()
    layers = [next(iter(m.parameters())) for _, m in blocks(net) if [*m.parameters()]]
    named = {id(value): key for key, value in net.named_parameters()}
    order = [found[named[id(value)]] for value in layers]
    assert order == sorted(order) and order[-1] == 1.0 and len(set(order)) > 2
    head = head_name(net)
    others = [share for key, share in found.items() if not key.startswith(f"{head}.")]
    assert max(others) == 0.5


@pytest.mark.parametrize("name", [*FUSED, "rmsprop"])
def test_a_share_of_the_rate_is_what_an_optimizer_applies(name):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2))
    net.built_with = {"num_classes": 2}
    before = {key: value.clone() for key, value in net.state_dict().items()}
    training = Training(optimizer=name, layer_decay=0.5, weight_decay=0.1)
    grads = {key: torch.randn_like(value) for key, value in net.named_parameters()}

    def step(decay: float, rate: float) -> dict[str, torch.Tensor]:
        net.load_state_dict(before)
        optimizer = Optimizer(net, training.model_copy(update={"layer_decay": decay}))
        with torch.no_grad():
            values = [grads[key].clone() for key in optimizer.names]
            states = optimizer.states()
            optimizer.update(optimizer.params, values, states, rate, fused=True)
        return {key: value.clone() for key, value in net.state_dict().items()}

    found = step(0.5, 0.1)
    for layer, share in (("0", 0.25), ("1", 0.5), ("2", 1.0)):
        expected = step(1.0, 0.1 * share)
        for key in (f"{layer}.weight", f"{layer}.bias"):
            torch.testing.assert_close(found[key], expected[key], msg=key)


@pytest.mark.parametrize("optimizer", ["adamw", "nadam"])
def test_a_layered_run_is_resumed_to_the_same_bits(optimizer, tmp_path, monkeypatch):
    from labmill.training import trainer

    settings = RICH | {"optimizer": optimizer, "layer_decay": 0.7}
    whole, part = network("resnet"), network("resnet")
    fitted(tmp_path / "whole", settings, model=whole)
    rate = trainer.learning_rate
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(trainer, "SAVE_AFTER", 0.0)

        def stopping(training, step, steps):
            if step == 5:
                raise KeyboardInterrupt
            return rate(training, step, steps)

        patch.setattr(trainer, "learning_rate", stopping)
        fitted(tmp_path / "part", settings, model=part)
    part = network("resnet")
    outcome = fitted(tmp_path / "part", settings, model=part)
    assert outcome.facts.resumed_at == [[1, 0]]
    assert equal(whole.state_dict(), part.state_dict())


def test_without_decay_all_is_as_before(tmp_path):
    one, other = network("resnet"), network("resnet")
    fitted(tmp_path / "one", RICH, model=one)
    fitted(tmp_path / "other", RICH | {"layer_decay": 1.0}, model=other)
    assert equal(one.state_dict(), other.state_dict())


def test_a_decay_of_zero_trains_the_head_only(tmp_path):
    net = network("resnet")
    before = {key: value.clone() for key, value in net.state_dict().items()}
    fitted(tmp_path, RICH | {"layer_decay": 0.0, "ema": None}, model=net)
    head = head_name(net)
    changed = {
        key
        for key, value in net.state_dict().items()
        if not torch.equal(value, before[key])
    }
    assert changed == {key for key in before if key.startswith(f"{head}.")}
