"""Latency and the clock that steps are timed with."""

import time

import pytest
import torch
from torch import nn

from labmill.profiling import latency as module
from labmill.profiling.latency import latency, now, spread


class Watched(nn.Module):
    """Notes how it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[bool, bool]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append((self.training, torch.is_grad_enabled()))
        return x


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "WARM_UP_S", 0.0)


def test_latency_says_what_it_measured_and_how():
    model = Watched()
    found = latency(model, torch.zeros(7, 3, 4, 4), 12).model_dump()
    assert found["batch"] == 7
    assert found["n"] == 12
    assert found["device"] == "cpu"
    assert found["threads"] == torch.get_num_threads()
    assert 0 < found["q1_ms"] <= found["median_ms"] <= found["q3_ms"]
    assert len(model.calls) == 12 + 3
    assert set(model.calls) == {(False, False)}


def test_what_others_do_does_not_make_a_network_slow(monkeypatch):
    class Waiting(Watched):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            time.sleep(0.02)
            return x

    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert latency(Waiting(), torch.zeros(1, 1), 3).median_ms < 10


def test_a_spread_is_the_median_with_its_quartiles():
    found = spread([0.004, 0.001, 0.003, 0.002, 0.005], "ms")
    assert found == {"median_ms": 3.0, "q1_ms": 2.0, "q3_ms": 4.0, "n": 5}


def test_a_slow_network_is_called_less_often_but_five_times(monkeypatch):
    monkeypatch.setattr(module, "LONGEST_S", 0.0)
    assert latency(Watched(), torch.zeros(1, 1), 50).n == 5
    assert latency(Watched(), torch.zeros(1, 1), 2).n == 2


def test_time_that_others_use_is_not_counted_with_one_thread():
    threads = torch.get_num_threads()
    cpu = torch.device("cpu")
    try:
        torch.set_num_threads(1)
        began = now(cpu)
        time.sleep(0.05)
        assert now(cpu) - began < 0.02
        torch.set_num_threads(2)
        began = now(cpu)
        time.sleep(0.05)
        assert now(cpu) - began >= 0.05
    finally:
        torch.set_num_threads(threads)
