"""What every registered model must do: a new file in the folder is tested here."""

import re

import pytest
import torch
import torch_pruning
from torch import nn

from helpers.job_records import SHAPE
from labmill.core import registry
from labmill.study.error_messages import check_type

# Cheaper than the defaults, and the arguments that change a model's structure.
CASES = {
    "cnn": [{"design": d} for d in ("small", "custom", "custom_four")]
    + [
        {"layers": ["conv 8 bn", "separable 9", "adaptive 2", "flatten", "linear 7 bn"]}
    ],
    "dynamic_cnn": [{"mixing": m} for m in ("published", "softmax", "equal", "single")],
    "lenet": [{}, {"separable": True}],
    "resnet": [{"widths": [8, 16, 24], "blocks": [2, 1, 1]}, {"stem": "imagenet"}],
    "speednet": [{}, {"stem": 0}],
    "transformer": [{"dim": 32, "heads": 4, "ffn": 24, "decoder_layers": 2}],
    "vgg": [{"classifier": [32, 16]}],
    "vit": [
        {"depth": 2},
        {"depth": 2, "projections": "headwise", "class_token": "mean"},
        {"depth": 1, "decoder_depth": 1, "queries": "classes"},
    ],
}
# Those of other libraries: test_libraries.py.
NAMES = [name for name in registry.names("models") if not registry.library(name)]
MODELS = pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param(name, case, id=f"{name}-{i}")
        for name in NAMES
        for i, case in enumerate(CASES.get(name, [{}]))
    ],
)


FACTS = {"num_classes": 10, "image_size": 32, "in_channels": 3}


def build(name, arguments, *, seed=0):
    torch.manual_seed(seed)
    return registry.build(name, **FACTS, **arguments)


def inputs(name, batch=3):
    generator = torch.Generator().manual_seed(1)
    if registry.constant("models", name, "KIND") == "sequence":
        tokens = torch.randint(0, 10, (2, batch, 32), generator=generator)
        return tuple(tokens)
    return (torch.randn(batch, 3, 32, 32, generator=generator),)


def removable(graph, layer):
    """One output index for each unit of `layer` that can go without another."""
    prune, units, seen = pruning_function(layer), [], set()
    for index in range(layer.weight.shape[0]):
        if index not in seen:
            units.append(index)
            for dependency, indices in graph.get_pruning_group(layer, prune, [index]):
                if dependency.target.module is layer and dependency.handler == prune:
                    seen.update(indices)
    return units


def pruning_function(layer):
    convolves = isinstance(layer, nn.Conv2d)
    return (
        torch_pruning.prune_conv_out_channels
        if convolves
        else torch_pruning.prune_linear_out_channels
    )


@MODELS
def test_logits_have_the_classes_of_the_head(name, arguments):
    model, x = build(name, arguments), inputs(name)
    logits = model(*x)
    assert logits.shape[0] == 3
    assert logits.shape[-1] == 10
    assert torch.isfinite(logits).all()


@MODELS
def test_head_reads_the_features(name, arguments):
    model, x = build(name, arguments).eval(), inputs(name)
    torch.testing.assert_close(model.head(model.forward_features(*x)), model(*x))


@MODELS
def test_every_parameter_gets_a_gradient(name, arguments):
    model, x = build(name, arguments), inputs(name)
    logits = model(*x)
    (logits * torch.randn_like(logits)).sum().backward()
    without = [
        key
        for key, value in model.named_parameters()
        if value.requires_grad and (value.grad is None or not value.grad.any())
    ]
    assert without == []


@MODELS
def test_same_seed_same_weights(name, arguments):
    first, again, other = (
        build(name, arguments, seed=s).state_dict() for s in (0, 0, 1)
    )
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@MODELS
def test_reset_head_changes_the_classes_only(name, arguments):
    model, x = build(name, arguments).eval(), inputs(name)
    features = None if "queries" in arguments else model.forward_features(*x)
    model.reset_head(4)
    assert model(*x).shape[-1] == 4
    if registry.constant("models", name, "KIND") != "sequence":
        assert model.arguments()["num_classes"] == 4
    if features is not None:
        torch.testing.assert_close(model.forward_features(*x), features)


@MODELS
def test_built_again_from_its_arguments(name, arguments):
    model, x = build(name, arguments).eval(), inputs(name)
    again = registry.build(name, **model.arguments()).eval()
    again.load_state_dict(model.state_dict())
    if registry.constant("models", name, "KIND") != "sequence":
        assert {*SHAPE} <= {*model.arguments()}, "pruning builds an image from these"
    assert torch.equal(model(*x), again(*x))
    assert model.arguments() == again.arguments()


@MODELS
def test_pruned_by_a_third_and_built_again(name, arguments):
    model, x = build(name, arguments).eval(), inputs(name)
    before = sum(p.numel() for p in model.parameters())
    graph = torch_pruning.DependencyGraph().build_dependency(
        model, x, customized_pruners=model.pruners(), verbose=False
    )
    assert model.prunable()
    for key, layer in model.prunable().items():
        units = removable(graph, layer)
        width = layer.weight.shape[0]
        group = graph.get_pruning_group(
            layer, pruning_function(layer), units[: len(units) // 3]
        )
        group.prune()
        kept = (len(units) - len(units) // 3) / len(units)
        assert layer.weight.shape[0] == pytest.approx(width * kept), key
    assert sum(p.numel() for p in model.parameters()) < before
    expected = model(*x)
    again = registry.build(name, **model.arguments()).eval()
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(*x), expected)


@pytest.mark.parametrize("name", NAMES)
def test_channels_last_gives_the_same(name):
    if not registry.constant("models", name, "CHANNELS_LAST"):
        pytest.skip("not convolutional")
    model, (x,) = build(name, CASES.get(name, [{}])[0]).eval(), inputs(name)
    expected = model(x)
    model = model.to(memory_format=torch.channels_last)
    x = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(model(x), expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_study_can_be_checked_against_the_file(name):
    values = dict(FACTS)
    signature = {a.name: a for a in registry.arguments("models", name)}
    assert set(FACTS) <= set(signature)
    documented = registry.load("models", name).build.__doc__
    for key in set(signature) - set(FACTS):
        argument = signature[key]
        assert not argument.required, f"a study need not give {key}"
        assert re.search(rf"\b{key}\b", documented), f"build does not document {key}"
        values[key] = argument.default
        assert check_type(argument.annotation, argument.default) is None
        assert check_type(argument.annotation, {"no": "type"}) is not None
    requires = registry.constant("models", name, "REQUIRES", {})
    for key, (condition, _) in requires.items():
        assert key in values
        assert eval(condition, {}, values), f"defaults break the condition on {key}"
