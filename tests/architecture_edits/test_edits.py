"""Edits: legal, small, predicted from a profile, and ranked as the report says."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labmill.architecture_edits.catalogue import KINDS, aligned, catalogue, changes
from labmill.architecture_edits.confirm import ordered
from labmill.architecture_edits.predict import Network, Predictor, cost_of
from labmill.architecture_edits.propose import (
    candidates,
    correlation,
    in_turns,
    median_interval,
)
from labmill.architecture_edits.records import Edit, Prediction, Saving
from labmill.core import registry
from labmill.models.cnn import DESIGNS
from labmill.profiling.records import ModuleTime, Peak, Phases, Profile
from labmill.search.select import RunResult

SHAPE = {"in_channels": 3, "image_size": 32}
CUSTOM = tuple(DESIGNS["custom"])
TANH = ("conv 8 tanh", "pool", "conv 16 s2", "flatten", "linear 32 tanh", "linear 16")

lines = st.lists(
    st.sampled_from(
        [
            "conv 4",
            "conv 8 bn",
            "conv 6 k5",
            "separable 8",
            "pool",
            "avgpool",
            "conv 8 s2",
        ]
    ),
    min_size=1,
    max_size=6,
).map(lambda body: [*body, "flatten", "dropout 0.1", "linear 16"])


def model_of(layers):
    shape = {"num_classes": 10, **SHAPE}
    return registry.build("cnn", **shape, layers=list(layers))


@settings(max_examples=25, deadline=None)
@given(lines)
def test_every_edit_can_be_built_and_differs(layers):
    for edit in catalogue(layers, **SHAPE):
        assert edit.kind in KINDS
        assert changes(layers, edit.layers) >= 1
        model = model_of(edit.layers)
        assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
        assert tuple(model.describe()) == edit.layers


def test_no_result_is_offered_twice_and_all_kinds_come_up():
    custom = catalogue(CUSTOM, **SHAPE)
    assert len({edit.layers for edit in custom}) == len(custom)
    other = catalogue(TANH, **SHAPE)
    assert {edit.kind for edit in (*custom, *other)} == set(KINDS)


def test_the_published_edit_is_among_the_candidates():
    found = {edit.layers: edit.kind for edit in catalogue(CUSTOM, **SHAPE)}
    assert found[tuple(DESIGNS["custom_modified"])] == "remove"


def test_a_default_batch_norm_can_be_dropped_too():
    edits = catalogue(["conv 4", "flatten"], **SHAPE, batch_norm=True)
    assert ("conv 4 nobn", "flatten") in {edit.layers for edit in edits}


def test_lines_are_matched_to_what_they_were():
    before, after = (
        ["conv 4", "pool", "conv 8", "flatten"],
        ["pool", "conv 6", "flatten"],
    )
    assert aligned(before, after) == {0: 1, 1: 2, 2: 3}
    assert changes(before, after) == 2


def profile_at_full_speed(layers, slow: float = 2.0):
    """A profile in which every part takes `slow` times what the machine's roof says."""
    arguments = {"layers": list(layers), "activation": "relu"}
    arguments |= {"batch_norm": False, "softmax_output": False}
    network = Network("cnn", arguments, {"num_classes": 10, **SHAPE})
    _, costs = cost_of(network, 8)
    best = Peak(gflops=10.0, gbytes_per_s=5.0, side=1, dtype="float32")
    first = next(name for name, cost in costs.items() if cost.parameters)
    modules = []
    for name, cost in costs.items():
        roof = 2 * cost.macs / 10.0 / 1e6 + cost.traffic_bytes / 5.0 / 1e6
        back = (1 if name == first else 2) * slow * roof
        modules.append(
            ModuleTime.model_construct(
                name=name, own_forward_ms=slow * roof, own_backward_ms=back
            )
        )
    phases = {name: 0.0 for name in ("data", "loss", "bookkeeping", "optimizer")}
    phases["forward"] = sum(m.own_forward_ms for m in modules)
    phases["backward"] = sum(m.own_backward_ms for m in modules)
    profile = Profile.model_construct(
        batch=8,
        phases=Phases(**phases),
        modules=modules,
        peak=best,
        loss_backward_ms=0.0,
    )
    return profile, network


@pytest.mark.parametrize("design", ["custom", "small"])
def test_predictions_are_exact_where_every_part_runs_alike(design):
    layers = DESIGNS[design]
    profile, network = profile_at_full_speed(layers)
    predictor = Predictor(profile, network)
    assert predictor.predict(layers).saving == pytest.approx(0, abs=1e-9)
    for edit in catalogue(layers, **SHAPE):
        truth, _ = profile_at_full_speed(edit.layers)
        whole = sum(truth.phases.model_dump().values())
        assert predictor.predict(edit.layers).ms == pytest.approx(whole), edit.words


def test_a_part_that_is_slow_counts_for_more_than_its_operations():
    layers = DESIGNS["custom"]
    profile, network = profile_at_full_speed(layers)
    slow = "layers.conv2.convolution"
    more = {m.name: 9 * m.own_forward_ms for m in profile.modules if m.name == slow}
    phases = profile.phases.model_dump()
    phases["forward"] += more[slow]
    modules = [
        m.model_copy(
            update={"own_forward_ms": m.own_forward_ms + more.get(m.name, 0.0)}
        )
        for m in profile.modules
    ]
    changed = {"phases": Phases(**phases), "modules": modules}
    profile = profile.model_copy(update=changed)
    edit = next(
        e for e in catalogue(layers, **SHAPE) if e.words == "without conv2 (32)"
    )
    found = Predictor(profile, network).predict(edit.layers)
    assert found.saving > 1.5 * found.operations_saving > 0


def test_other_variants_stand_among_the_candidates_under_their_name():
    layers = DESIGNS["custom"]
    profile, network = profile_at_full_speed(layers)
    declared = {
        "modified": {"name": "cnn", "arguments": {"design": "custom_modified"}},
        "softmax": {
            "name": "cnn",
            "arguments": {"design": "custom_four", "softmax_output": True},
        },
        "other": {"name": "lenet", "arguments": {}},
        "same": {"name": "cnn", "arguments": {"design": "custom"}},
    }
    rows = candidates(Predictor(profile, network), declared)
    named = {row.variant: row for row in rows if row.variant}
    assert list(named) == ["modified"]
    assert named["modified"].kind == "remove"


def edit_of(
    kind: str,
    saving: float,
    *,
    changes: int = 1,
    operations_saving: float = 0.0,
    measured: float | None = None,
) -> Edit:
    """An edit of which only these numbers matter."""
    timed = {"saving": measured, "low": 0.0, "high": 0.0, "n": 1}
    return Edit(
        point=kind,
        settings={},
        kind=kind,
        words=kind,
        variant=None,
        changes=changes,
        predicted=Prediction(
            ms=1.0, saving=saving, operations_saving=operations_saving
        ),
        measured=None if measured is None else Saving(**timed),
    )


def test_the_best_of_each_kind_comes_first():
    def row(kind: str, saving: float, lines: int = 1):
        return edit_of(kind, saving, changes=lines)

    rows = [
        row("a", 0.5),
        row("a", 0.4),
        row("b", 0.1),
        row("c", 0.6, 3),
        row("b", 0.05),
    ]
    got = [(r.kind, r.predicted.saving) for r in in_turns(rows)]
    assert got == [("a", 0.5), ("c", 0.6), ("b", 0.1), ("a", 0.4), ("b", 0.05)]


def test_the_interval_of_a_median_covers_it():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        low, high = median_interval(generator.exponential(size=25))
        covered += low <= np.log(2) <= high
    assert 0.93 <= covered / 400 <= 0.99
    assert median_interval(np.array([3.0, 1.0, 2.0])) == (1.0, 3.0)


def test_correlation_is_told_for_both_predictions():
    rows = [
        edit_of("a", x, operations_saving=1 - x, measured=2 * x)
        for x in (0.1, 0.2, 0.4)
    ]
    found = correlation([*rows, edit_of("a", 0.0)])
    assert found.n == 3
    assert found.predicted == pytest.approx(1)
    assert found.operations == pytest.approx(-1)
    assert found.predicted_error == pytest.approx((0.1 + 0.2 + 0.4) / 3)
    assert correlation(rows[:2]).predicted is None


def trial(name: str, saving: float, accuracy: float | None):
    edit = edit_of("a", 0.0, measured=saving).model_copy(update={"words": name})
    status = "completed" if accuracy is not None else "diverged"
    return edit, RunResult(0, status, None, accuracy, 1.0, 1.0, 1)


def test_what_nothing_dominates_is_confirmed_first():
    rows = [
        trial("unchanged", 0.0, 0.80),
        trial("slower and worse", -0.1, 0.70),
        trial("quick, within tolerance", 0.2, 0.795),
        trial("quicker, not within", 0.4, 0.60),
        trial("better", 0.1, 0.82),
        trial("diverged", 0.9, None),
    ]
    control, *edits = ordered(rows, 0.01)
    assert control.words == "unchanged"
    assert [row.words for row in edits] == [
        "quick, within tolerance",
        "better",
        "quicker, not within",
        "slower and worse",
        "diverged",
    ]
    assert [row.undominated for row in edits] == [True, True, True, False, False]
