"""Layers as matrix products against torch's own: outputs, gradients, whole networks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from helpers.prunable_networks import MODELS, build, inputs
from labmill.analysis.matmul_timing import compare_layers
from labmill.models.matmul import FORMULATIONS, rewritten

OWN = [name for name in FORMULATIONS if name != "library"]


def gradients(model, x, seed=0):
    torch.manual_seed(seed)
    logits = model(*x)
    (logits * torch.randn_like(logits)).sum().backward()
    found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return logits.detach(), found


@pytest.mark.parametrize("formulation", OWN)
@MODELS
def test_every_model_computes_the_same_and_learns_the_same(
    name, arguments, formulation
):
    model, x = build(name, arguments), inputs(name)
    own = rewritten(model, formulation)
    assert not any(type(m) in (nn.Conv2d, nn.Linear) for m in own.modules())
    expected, wanted = gradients(model, x)
    logits, found = gradients(own, x)
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)
    assert found.keys() == wanted.keys()
    for key, gradient in wanted.items():
        torch.testing.assert_close(found[key], gradient, rtol=1e-8, atol=1e-9)


GEOMETRY = {
    "kernel": st.tuples(st.integers(1, 4), st.integers(1, 4)),
    "stride": st.tuples(st.integers(1, 3), st.integers(1, 3)),
    "padding": st.tuples(st.integers(0, 2), st.integers(0, 2)),
    "dilation": st.tuples(st.integers(1, 2), st.integers(1, 2)),
    "groups": st.integers(1, 3),
    "bias": st.booleans(),
    "last": st.booleans(),
}


@pytest.mark.parametrize("formulation", OWN)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(**GEOMETRY)
def test_any_convolution(
    formulation, kernel, stride, padding, dilation, groups, bias, last
):
    torch.manual_seed(0)
    layer = nn.Sequential(
        nn.Conv2d(
            2 * groups, 3 * groups, kernel, stride, padding, dilation, groups, bias
        )
    ).double()
    own = rewritten(layer, formulation)
    x = torch.randn(2, 2 * groups, 9, 8, dtype=torch.float64)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    images = [x.clone().requires_grad_(True) for _ in range(2)]
    results = [net(image) for net, image in zip((layer, own), images, strict=True)]
    torch.testing.assert_close(results[1], results[0], rtol=1e-10, atol=1e-10)
    weights = torch.randn_like(results[0])
    for result in results:
        (result * weights).sum().backward()
    torch.testing.assert_close(images[1].grad, images[0].grad, rtol=1e-9, atol=1e-9)
    for mine, theirs in zip(own.parameters(), layer.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("formulation", OWN)
def test_the_original_is_left_as_it_was(formulation):
    model = build("two_conv", {})
    own = rewritten(model, formulation)
    assert type(model.prunable()["conv1"]) is nn.Conv2d
    assert own.state_dict().keys() == model.state_dict().keys()
    with torch.no_grad():
        next(own.parameters()).zero_()
    assert next(model.parameters()).any()


@pytest.mark.parametrize("formulation", OWN)
def test_training_step_by_step_stays_the_same(formulation):
    model = build(
        "two_conv", {"image_size": 12, "filters1": 3, "filters2": 4, "dense": 8}
    )
    networks = model, rewritten(model, formulation)
    x = torch.randn(8, 3, 12, 12, dtype=torch.float64)
    began = F.cross_entropy(model(x), torch.arange(8)).item()
    for network in networks:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        for _ in range(10):
            optimizer.zero_grad()
            F.cross_entropy(network(x), torch.arange(8)).backward()
            optimizer.step()
    torch.testing.assert_close(networks[1](x), networks[0](x), rtol=1e-7, atol=1e-7)
    assert F.cross_entropy(networks[1](x), torch.arange(8)) < began - 0.1


def test_the_comparison_times_all_and_changes_nothing():
    model = build("two_conv", {"filters1": 3, "filters2": 3, "dense": 8}).float()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    x, y = torch.randn(10, 3, 32, 32), torch.arange(10)
    found = compare_layers(model, x, y, batch_size=4, repeats=2)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert (found["images"], found["batch"]) == (10, 4)
    for kind in ("inference", "training"):
        assert found[kind].keys() == FORMULATIONS.keys()
        for times in found[kind].values():
            assert times["n"] == 2
            assert 0 < times["q1_s"] <= times["median_s"] <= times["q3_s"]
    assert found["largest_difference"]["library"] == 0
    assert max(found["largest_difference"].values()) < 1e-4
