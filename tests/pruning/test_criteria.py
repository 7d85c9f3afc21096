"""Criteria against their definitions, on every registered model."""

import pytest
import torch
from torch.nn import functional as F

from helpers.prunable_networks import MODELS, build, inputs, structure_of
from labmill.core.errors import LabmillError
from labmill.pruning.criteria import CRITERIA, criterion
from labmill.pruning.structure import Structure

NAMES = [*CRITERIA, "random"]


def loss_of(model, x):
    logits = model(*x)
    targets = torch.arange(logits[..., 0].numel()) % 10
    return F.cross_entropy(logits.flatten(0, -2), targets)


@MODELS
def test_one_finite_score_per_unit(name, arguments):
    model = build(name, arguments)
    structure = structure_of(name, model)
    for p in model.parameters():
        p.requires_grad_(True)
    loss_of(model, inputs(name)).backward()
    for layer in structure.layers:
        group = structure.group(layer)
        for key in NAMES:
            try:
                scores = criterion(key, seed=0, step=1)(group)
            except LabmillError:
                assert key == "batchnorm"
                continue
            assert scores.shape == (len(group),)
            assert torch.isfinite(scores).all()
            assert (scores >= 0).all()


@MODELS
def test_a_unit_without_weights_is_the_least(name, arguments):
    model = build(name, arguments)
    structure = structure_of(name, model)
    for layer in structure.layers:
        group = structure.group(layer)
        with torch.no_grad():
            for part in group.outputs:
                for tensor in part.module.parameters(recurse=False):
                    tensor[part.indices[-1]] = 0
        for key in ("squares", "l1"):
            scores = CRITERIA[key](group)
            assert scores.argmin() == len(group) - 1
            assert scores[-1] == 0


def test_squares_and_l1_as_published():
    model = build("two_conv", {"filters1": 4, "filters2": 5, "dense": 9})
    structure = Structure(model)
    for layer, module in model.prunable().items():
        rows = torch.cat([module.weight.flatten(1), module.bias[:, None]], 1).detach()
        group = structure.group(layer)
        torch.testing.assert_close(CRITERIA["squares"](group), (rows**2).sum(1))
        torch.testing.assert_close(CRITERIA["l1"](group), rows.abs().sum(1))


def test_batchnorm_reads_the_scale_and_needs_one():
    lines = ["conv 6 bn", "conv 5", "flatten"]
    model = build("cnn", {"layers": lines})
    structure = Structure(model)
    norm = next(m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    scores = CRITERIA["batchnorm"](structure.group("conv1"))
    torch.testing.assert_close(scores, norm.weight.detach().abs())
    with pytest.raises(LabmillError, match=r"conv2 has none; allowed there: squares"):
        CRITERIA["batchnorm"](structure.group("conv2"))


def test_taylor_is_the_loss_that_shrinking_a_unit_costs():
    model, x = (
        build("cnn", {"layers": ["conv 5 tanh", "flatten", "linear 6 tanh"]}),
        inputs("cnn"),
    )
    structure = Structure(model)
    loss = loss_of(model, x)
    loss.backward()
    step = 1e-6
    for layer, module in model.prunable().items():
        scores = CRITERIA["taylor"](structure.group(layer))
        for unit in range(len(scores)):
            kept = module.weight.detach().clone(), module.bias.detach().clone()
            with torch.no_grad():
                module.weight[unit] *= 1 - step
                module.bias[unit] *= 1 - step
                rise = (loss_of(model, x) - loss) / step
                module.weight.copy_(kept[0])
                module.bias.copy_(kept[1])
            assert scores[unit].item() == pytest.approx(
                abs(rise.item()), rel=1e-3, abs=1e-7
            )


def test_random_is_a_function_of_seed_layer_and_step():
    structure = Structure(build("two_conv", {"filters1": 16, "filters2": 16}))
    first, second = structure.group("conv1"), structure.group("conv2")
    draw = criterion("random", seed=0, step=1)
    assert torch.equal(draw(first), criterion("random", seed=0, step=1)(first))
    others = [
        draw(second),
        criterion("random", seed=1, step=1)(first),
        criterion("random", seed=0, step=2)(first),
    ]
    assert not any(torch.equal(draw(first), other) for other in others)
