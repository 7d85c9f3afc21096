"""Profiles: sums are right, layers are counted as torch counts, traces are valid."""

import copy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from helpers.training_runs import images_of
from labmill.core import registry
from labmill.profiling import profile as module
from labmill.profiling.events import BETWEEN
from labmill.profiling.profile import profile
from labmill.profiling.trace import PHASES, memory_timeline, problems, read_trace
from labmill.study.schema import Training
from labmill.training.inputs import TrainingJob
from labmill.training.network import channels_last

TRACE = '{"traceEvents": [{"ph": "E", "ts": 3, "pid": 1, "tid": 1}]}'
MODELS = {
    "cnn": {"layers": ["conv 16 bn", "pool", "conv 32", "flatten", "linear 32"]},
    "resnet": {"widths": (8, 8, 16, 16), "blocks": (1, 1, 1, 1)},
    "vit": {"dim": 16, "depth": 2, "heads": 2, "dropout": 0.1, "patch": 8},
}


def network(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    shape = {"num_classes": 3, "image_size": 32, "in_channels": 3}
    return registry.build(name, **shape, **MODELS[name])


def agree(found: dict) -> bool:
    """Whether the phases add to the step that was timed without them, within 5 %."""
    whole = found["step"]["median_ms"]
    return sum(found["phases"].values()) == pytest.approx(whole, rel=0.05, abs=0.1)


@pytest.fixture(scope="module", params=MODELS)
def profiled(request, tmp_path_factory):
    """A model's name, its profile and its trace."""
    torch.set_num_threads(1)
    trace = tmp_path_factory.mktemp("profile") / "trace.json.gz"
    job = TrainingJob(
        training=Training(
            augmentation={"crop": 4, "flip": True}, optimizer="adam", batch_size=16
        ),
        data=images_of(300, 10),
        seed=0,
        normalisation=([0.5] * 3, [0.5] * 3),
        channels_last=channels_last(request.param),
    )
    # Phases and whole step are timed after each other: where another process took the
    # core in between, once more.
    for _ in range(12):
        found = profile(
            trace, network(request.param), job, torch.device("cpu")
        ).model_dump()
        if agree(found):
            break
    return request.param, found, read_trace(trace)


def test_phases_add_to_the_step_that_was_timed_without_them(profiled):
    _, found, _ = profiled
    assert set(found["phases"]) == set(PHASES)
    assert all(ms > 0 for ms in found["phases"].values())
    assert agree(found)


def test_module_times_add_to_their_parents(profiled):
    _, found, _ = profiled
    rows = {row["name"]: row for row in found["modules"]}
    for name, row in rows.items():
        inside = [r for r in rows.values() if r["parent"] == name]
        for way in ("forward_ms", "backward_ms"):
            own = row[f"own_{way}"]
            assert own >= 0
            total = own + sum(r[way] for r in inside)
            assert row[way] == pytest.approx(total, rel=1e-6, abs=1e-9)
    assert rows[""]["forward_ms"] == pytest.approx(found["phases"]["forward"])
    backward = rows[""]["backward_ms"] + found["loss_backward_ms"]
    assert backward == pytest.approx(found["phases"]["backward"])


def test_the_backward_pass_is_booked_on_the_layers_that_ran_forward(profiled):
    name, found, _ = profiled
    rows = {row["name"]: row for row in found["modules"]}
    weighted = {
        name
        for name, module in network(name).named_modules()
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)
    }
    used = {n for n in weighted if rows[n]["forward_ms"] > 0}
    assert used
    assert all(rows[n]["backward_ms"] > 0 for n in used)
    assert found["loss_backward_ms"] < 0.2 * found["phases"]["backward"]


def test_layers_count_half_of_torchs_operations(profiled):
    name, found, _ = profiled
    model = network(name).eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(found["batch"], 3, 32, 32))
    macs = sum(layer["macs"] for layer in found["layers"])
    assert 2 * macs == counter.get_total_flops()


def test_operator_shares_add_to_one_and_name_what_ran(profiled):
    _, found, _ = profiled
    shares = [row["share"] for row in found["operators"]]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
    names = {row["name"] for row in found["operators"]}
    assert {"aten::addmm", "aten::_fused_adam_", BETWEEN[False]} <= names


def test_nothing_beats_the_measured_peak_by_much(profiled):
    _, found, _ = profiled
    known = [r["share_of_peak"] for r in found["layers"] if r["share_of_peak"]]
    assert known
    # Scaled medians of microseconds: the bound is loose, wrong units would be 1000 off.
    assert all(0 < share < 3 for share in known)


def test_memory_of_a_step_rises_and_falls_back(profiled):
    _, found, _ = profiled
    memory = found["memory"]
    moments, sizes = zip(*memory["timeline"], strict=True)
    assert list(moments) == sorted(moments)
    assert max(sizes) == memory["step_peak_bytes"] > 0
    assert abs(sizes[-1]) < 0.5 * max(sizes)
    weights = sum(p.numel() * 4 for p in network(profiled[0]).parameters())
    assert memory["state_bytes"] >= 3 * weights  # Adam: weights and two moments
    assert memory["gradient_bytes"] == weights
    names, begins = zip(*memory["borders"], strict=True)
    assert set(names) == set(PHASES)
    assert list(begins) == sorted(begins)
    assert begins[0] < 0.5 and begins[-1] < moments[-1]


def test_the_trace_keeps_the_format_and_shows_phases_and_modules(profiled):
    _, _, trace = profiled
    assert problems(trace) == []
    names = {event["name"] for event in trace["traceEvents"]}
    assert {f"phase:{phase}" for phase in PHASES} <= names
    assert "module:head" in names


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda e: e.pop("ts"), "ts"),
        (lambda e: e.update(dur=-1), "dur"),
        (lambda e: e.update(ph="?"), "kind"),
        (lambda e: e.pop("tid"), "tid"),
        (lambda e: e.update(dur=1e12), "overlaps"),
    ],
)
def test_a_broken_trace_is_noticed(change, word):
    event = {"ph": "X", "name": "a", "ts": 0, "dur": 9, "pid": 1, "tid": 1}
    inside = event | {"name": "b", "ts": 2, "dur": 3}
    trace = {"traceEvents": [event, inside]}
    assert problems(trace) == []
    broken = copy.deepcopy(trace)
    change(broken["traceEvents"][1])
    assert word in " ".join(problems(broken))


def test_a_flow_that_ends_must_have_begun():
    flow = {"ph": "f", "name": "a", "ts": 0, "id": 1, "pid": 1, "tid": 1}
    assert problems({"traceEvents": [flow]})
    assert not problems({"traceEvents": [flow | {"ph": "s"}, flow]})


def test_an_event_without_a_name_does_no_harm():
    step = {"ph": "X", "name": "step:0", "ts": 0, "dur": 9, "pid": 1, "tid": 1}
    end = {"ph": "E", "ts": 3, "pid": 1, "tid": 1}
    trace = {"traceEvents": [end, step]}
    assert problems(trace) == []
    assert memory_timeline(trace, "step:0") == [[0.0, 0.0], [0.009, 0]]


class Slow:
    """Profiled steps of a given length."""

    def __init__(self, ms: float) -> None:
        self.durations = np.array([ms])


@pytest.mark.parametrize(
    ("lengths", "kept"),
    [((11.0, 1.0), 11.0), ((30.0, 12.0, 1.0), 12.0), ((30.0, 20.0, 40.0), 20.0)],
)
def test_disturbed_steps_are_profiled_again(tmp_path, monkeypatch, lengths, kept):
    at = iter(lengths)
    found = SimpleNamespace(
        events=lambda: None,
        export_chrome_trace=lambda path: Path(path).write_text(TRACE),
    )
    monkeypatch.setattr(module, "observed", lambda *_: found)
    monkeypatch.setattr(module, "Seen", lambda *_, cuda: Slow(next(at)))
    steps = SimpleNamespace(device=torch.device("cpu"))
    seen = module.profiled(steps, tmp_path / "trace.json.gz", 10.0)
    assert seen.durations[0] == kept
