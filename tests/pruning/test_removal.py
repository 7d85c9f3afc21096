"""Structural removal on every registered model, against zeroing the same units."""

import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.job_records import save_network
from helpers.prunable_networks import MODELS, build, inputs, some_units, structure_of
from labmill.core import registry
from labmill.core.errors import LabmillError
from labmill.pruning.structure import Structure
from labmill.training import checkpoint

EXACT = {"rtol": 1e-9, "atol": 1e-9}


def zeroed(model, group, units):
    """A copy whose units make nothing but zeros: their weights, biases and norms.

    Says nothing of what reads them: activations here map zero to zero.
    """
    twin = copy.deepcopy(model)
    names = {module: name for name, module in model.named_modules()}
    with torch.no_grad():
        for part in group.outputs:
            module = twin.get_submodule(names[part.module])
            for tensor in module.parameters(recurse=False):
                tensor[part.indices[units].flatten()] = 0
    return twin


def entries_gone(model, group, units):
    """How many numbers of the model belong to the units, from the group alone."""
    gone = {
        name: torch.zeros_like(p, dtype=bool) for name, p in model.named_parameters()
    }
    names = {module: name for name, module in model.named_modules()}
    for part in group.parts:
        indices = part.indices[units].flatten()
        for key, _ in part.module.named_parameters(recurse=False):
            mask = gone[f"{names[part.module]}.{key}"]
            if not part.inputs:
                mask[indices] = True
            elif key == "weight":
                mask[:, indices] = True
    return sum(int(mask.sum()) for mask in gone.values())


def parameters(model):
    return sum(p.numel() for p in model.parameters())


@MODELS
def test_every_layer_computes_what_it_computes_with_its_units_zeroed(name, arguments):
    x = inputs(name)
    original = build(name, arguments)
    whole, layers = original(*x), structure_of(name, original).layers
    changed = []
    for layer in layers:
        model = build(name, arguments)
        structure = structure_of(name, model)
        group = structure.group(layer)
        units = some_units(group)
        expected = zeroed(model, group, units)(*x)
        gone = entries_gone(model, group, units)
        before, width = parameters(model), len(group)
        changed.append(not torch.allclose(expected, whole, rtol=1e-9, atol=1e-12))

        structure.remove(layer, units)

        torch.testing.assert_close(model(*x), expected, **EXACT)
        assert parameters(model) == before - gone
        assert structure.widths()[layer] == width - len(units)
    # A unit may be dead on these images; most are not, or the test shows nothing.
    assert sum(changed) > len(layers) / 2


@MODELS
def test_silencing_equals_removing_and_leaves_no_trace(name, arguments):
    model, x = build(name, arguments), inputs(name)
    structure = structure_of(name, model)
    before, state = model(*x), copy.deepcopy(model.state_dict())
    layer = structure.layers[-1]
    units = some_units(structure.group(layer))
    with structure.silenced(layer, units):
        silent = model(*x)
    assert torch.equal(model(*x), before)
    assert all(
        torch.equal(state[key], value) for key, value in model.state_dict().items()
    )
    structure.remove(layer, units)
    torch.testing.assert_close(model(*x), silent, **EXACT)


@MODELS
def test_down_to_one_unit_everywhere_and_back_from_files(
    name, arguments, tmp_path, monkeypatch
):
    model, x = build(name, arguments), inputs(name)
    structure = structure_of(name, model)
    trainable = {n for n, p in model.named_parameters() if p.requires_grad}
    for layer in structure.layers:
        structure.remove(layer, range(1, len(structure.group(layer))))
    assert set(structure.widths().values()) == {1}
    assert {n for n, p in model.named_parameters() if p.requires_grad} == trainable
    logits = model(*x)
    assert logits.shape[-1] == 10
    assert torch.isfinite(logits).all()
    again = registry.build(name, **model.arguments()).double().eval()
    assert parameters(again) == parameters(model)

    def refused(*_, **__):
        raise AssertionError("pickle was used")

    for function in ("load", "loads", "dump", "dumps", "Unpickler", "Pickler"):
        monkeypatch.setattr(pickle, function, refused)
    files = save_network(model.float(), name, tmp_path, {})
    loaded = checkpoint.load(*files).double().eval()
    assert loaded.arguments() == model.arguments()
    torch.testing.assert_close(loaded(*x), model.double()(*x), rtol=0, atol=0)


WIDTHS = st.lists(st.integers(2, 6), min_size=1, max_size=3)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(convolutions=WIDTHS, dense=WIDTHS, data=st.data())
def test_any_plain_network_in_any_order(convolutions, dense, data):
    words = st.sampled_from(["", " bn", " k1", " k5 s2", " tanh", " bn gelu"])
    lines = [f"conv {w}{data.draw(words)}" for w in convolutions]
    if data.draw(st.booleans()):
        lines.append("pool")
    lines += ["flatten", *(f"linear {w}" for w in dense)]
    model = build("cnn", {"layers": lines, "image_size": 12})
    structure = Structure(model)
    x = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    for layer in data.draw(st.permutations(structure.layers)):
        group = structure.group(layer)
        units = data.draw(
            st.lists(
                st.integers(0, len(group) - 1), max_size=len(group) - 1, unique=True
            )
        )
        expected = zeroed(model, group, units)(x)
        structure.remove(layer, units)
        torch.testing.assert_close(model(x), expected, **EXACT)
    assert model.arguments()["num_classes"] == 10
    assert model.arguments()["in_channels"] == 3


def test_a_grouped_convolution_is_left_alone():
    lines = ["conv 4", "conv 8 g2", "conv 6", "flatten", "linear 5"]
    structure = Structure(build("cnn", {"layers": lines}))
    assert structure.layers == ["conv3", "linear1"]


@pytest.mark.parametrize("units", [[0, 1, 2, 3], [4], [-1], range(4)])
def test_units_that_cannot_go(units):
    structure = Structure(build("two_conv", {"filters1": 4}))
    with pytest.raises(
        LabmillError, match=r"conv1: units .* it has 4, and one must stay"
    ):
        structure.remove("conv1", units)
    assert structure.widths()["conv1"] == 4


def test_an_unknown_layer_names_the_nearest():
    structure = Structure(build("two_conv", {}))
    with pytest.raises(LabmillError, match="did you mean 'linear1'"):
        structure.group("linear")
    with pytest.raises(LabmillError, match="found 'head'"):
        structure.group("head")
