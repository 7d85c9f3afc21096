"""Time calls, so that other work on the machine matters little."""

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from labmill.profiling.records import Latency

WARM_UP_S = 0.2
# A slow network is called less often: as long as this, but five times at least.
LONGEST_S, FEWEST = 20.0, 5
UNITS = {"s": 1.0, "ms": 1e3}


def own_time(device: torch.device) -> bool:
    """Return True if `now` counts the thread's own seconds: on the CPU with one thread."""
    return device.type == "cpu" and torch.get_num_threads() == 1


def now(device: torch.device) -> float:
    """Return seconds since some moment, after all work on the device.

    With one CPU thread, that thread's own seconds, so that other work on the machine is
    not counted; else wall time.
    """
    if own_time(device):
        return time.thread_time()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of one call, by `now`, with all work that it starts."""
    began = now(device)
    work()
    return now(device) - began


def spread(seconds: Sequence[float], unit: str) -> dict[str, float]:
    """Return `median_ms, q1_ms, q3_ms, n`, in `s` or `ms`."""
    values = np.quantile(seconds, [0.5, 0.25, 0.75]) * UNITS[unit]
    names = (f"{name}_{unit}" for name in ("median", "q1", "q3"))
    return dict(zip(names, values.tolist(), strict=True)) | {"n": len(seconds)}


def latency(model: nn.Module, images: Tensor, repeats: int) -> Latency:
    """Time at most `repeats` forward passes over `images`, float32 (B, C, H, W).

    Evaluation mode, no gradients, after a warm-up of at least three calls and 0.2 s, so
    that caches, clocks and kernel choice have settled.
    """
    device = images.device

    def call() -> float:
        return timed(lambda: model(images), device)

    model.eval()
    with torch.inference_mode():
        deadline, calls = time.perf_counter() + WARM_UP_S, 0
        while calls < 3 or time.perf_counter() < deadline:
            call()
            calls += 1
        seconds: list[float] = []
        while len(seconds) < repeats and (
            len(seconds) < FEWEST or sum(seconds) < LONGEST_S
        ):
            seconds.append(call())
    return Latency(
        batch=len(images),
        **spread(seconds, "ms"),
        threads=torch.get_num_threads(),
        device=str(device),
    )
