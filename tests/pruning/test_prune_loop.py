"""What a loop removes and when it ends, without training."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.prunable_networks import build
from labmill.core.errors import LabmillError
from labmill.pruning.criteria import criterion, squares
from labmill.pruning.schedule import Loop, layers_of
from labmill.pruning.structure import Structure


def loop(**settings):
    values = {"criterion": "l1", "scope": "each", "remove": 1}
    return Loop(**values | {"drop": None, "macs": None} | settings)


@pytest.fixture
def structure():
    return Structure(build("two_conv", {"filters1": 4, "filters2": 6, "dense": 10}))


SOUND = {"lost": 0.0, "macs": 1.0, "diverged": False}


@given(st.integers(1, 500), st.one_of(st.integers(1, 600), st.floats(0.01, 0.99)))
def test_a_step_removes_one_at_least_and_leaves_one(left, remove):
    number = loop(remove=remove).number(left)
    assert 0 <= number < left
    assert (number == 0) == (left == 1)
    if isinstance(remove, float) and number:
        assert number == pytest.approx(remove * left, abs=1)


def test_each_takes_the_same_share_of_every_layer_smallest_first(structure):
    removal = loop(remove=0.5).removal(structure, structure.layers, squares)
    assert {k: len(v) for k, v in removal.items()} == {
        "conv1": 2,
        "conv2": 3,
        "linear1": 5,
    }
    for layer, units in removal.items():
        scores = squares(structure.group(layer))
        kept = [s for i, s in enumerate(scores) if i not in units]
        assert max(scores[units]) <= min(kept)


def test_global_takes_the_smallest_anywhere_but_never_a_whole_layer(structure):
    everything = loop(scope="global", remove=0.5).removal(
        structure, structure.layers, squares
    )
    scores = sorted(
        s for n in structure.layers for s in squares(structure.group(n)).tolist()
    )
    taken = sorted(
        squares(structure.group(n))[u].item()
        for n, us in everything.items()
        for u in us
    )
    assert len(taken) == 10
    assert taken[:4] == scores[:4]
    most = loop(scope="global", remove=1000).removal(
        structure, structure.layers, squares
    )
    assert {k: len(v) for k, v in most.items()} == {
        "conv1": 3,
        "conv2": 5,
        "linear1": 9,
    }


def test_in_turn_takes_from_the_first_layer_only(structure):
    removal = loop(scope="in_turn", remove=2).removal(
        structure, ["conv2", "linear1"], squares
    )
    assert list(removal) == ["conv2"]
    assert len(removal["conv2"]) == 2


def test_in_turn_goes_on_with_the_next_layer_after_a_drop(structure):
    each = loop(scope="in_turn", drop=0.01)
    layers = structure.layers
    assert each.layers_for_next_step(layers, structure, **SOUND) == layers
    # Exactly the tolerance is not more than it, whatever the rounding.
    within = SOUND | {"lost": 0.8938 - 0.8838}
    assert each.layers_for_next_step(layers, structure, **within) == layers
    beyond = SOUND | {"lost": 0.0101}
    assert each.layers_for_next_step(layers, structure, **beyond) == layers[1:]
    assert each.layers_for_next_step(layers[2:], structure, **beyond) == []


def test_in_turn_goes_on_with_the_next_layer_after_the_last_unit(structure):
    structure.remove("conv1", [0, 1, 2])
    each = loop(scope="in_turn", drop=0.01)
    assert each.layers_for_next_step(structure.layers, structure, **SOUND) == [
        "conv2",
        "linear1",
    ]
    # A drop in the step that left one unit ends that layer, not the next one too.
    beyond = SOUND | {"lost": 0.02}
    assert each.layers_for_next_step(structure.layers, structure, **beyond) == [
        "conv2",
        "linear1",
    ]


@pytest.mark.parametrize("scope", ["each", "global"])
def test_other_scopes_end_with_the_drop(structure, scope):
    every = loop(scope=scope, drop=0.01)
    assert (
        every.layers_for_next_step(structure.layers, structure, **SOUND)
        == structure.layers
    )
    assert (
        every.layers_for_next_step(
            structure.layers, structure, **SOUND | {"lost": 0.02}
        )
        == []
    )


@pytest.mark.parametrize("scope", ["each", "global", "in_turn"])
def test_every_scope_ends_with_the_target_a_divergence_or_nothing_left(
    structure, scope
):
    ends = loop(scope=scope, macs=0.5)
    layers = structure.layers
    assert (
        ends.layers_for_next_step(layers, structure, **SOUND | {"macs": 0.51}) == layers
    )
    assert ends.layers_for_next_step(layers, structure, **SOUND | {"macs": 0.5}) == []
    assert (
        ends.layers_for_next_step(layers, structure, **SOUND | {"diverged": True}) == []
    )
    for layer in layers:
        structure.remove(layer, range(1, len(structure.group(layer))))
    assert ends.layers_for_next_step(layers, structure, **SOUND) == []
    assert ends.removal(structure, layers_of(structure, None), squares) == {}


def test_layers_are_those_that_were_named_and_have_units_left(structure):
    assert layers_of(structure, ["linear1", "conv1"]) == ["linear1", "conv1"]
    structure.remove("conv1", [0, 1, 2])
    assert layers_of(structure, None) == ["conv2", "linear1"]
    assert layers_of(structure, []) == []
    with pytest.raises(LabmillError, match=r"pruning\.layers: found 'conv3'"):
        layers_of(structure, ["conv3"])


def test_equal_scores_go_in_order(structure):
    def same(group):
        return criterion("squares", seed=0, step=0)(group) * 0

    assert loop(remove=2).removal(structure, ["conv2"], same) == {"conv2": [0, 1]}
