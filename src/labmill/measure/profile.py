"""Where a training step's time and memory go."""

import gzip
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.profiler import ProfilerActivity, record_function
from torch.profiler import profile as profiler

from labmill.errors import LabmillError
from labmill.measure.profile_events import (
    BETWEEN,
    LOSS,
    Seen,
    medians,
    ranked,
    tree,
)
from labmill.measure.profile_steps import Steps
from labmill.measure.roofline import costs, peak, placed
from labmill.measure.trace import (
    MODULE,
    STEP,
    memory_timeline,
    phase_borders,
    problems,
    read_trace,
)
from labmill.runtime import atomic_write, log

TIMED_S, PROFILED_S = 2.0, 2.0
LEAST, MOST = 3, 20
# A profiled step takes longer than a timed one: the profiler notes every call. Where it
# takes longer than that, other work was in its way, and it is profiled again.
LONGER, ATTEMPTS = 1.25, 3


def profile(trace: Path, **fitting: Any) -> dict[str, Any]:
    """Profile warmed-up training steps and write `trace` (gzip, for Perfetto).

    fitting: arguments of `labmill.training.loop.Fitting`, but `store` and `stop`. The
    model is trained on by the steps. Steps run operation by operation even where a run
    compiles them, since a compiled step has no phases.

    Returns:
        `step` (timed without the profiler), `phases` (ms by name), `modules`, `layers`,
        `operators`, `kernels`, `memory`, `peak`, and `profiled_ms`, the median step with
        the profiler on; times of modules are scaled so that they add to the phases of
        unprofiled steps.
    """
    steps = Steps(**fitting)
    step, phases = steps.timed(TIMED_S)
    model, device = steps.fitting.model, steps.fitting.device
    seen = profiled(steps, trace, step["median_ms"])
    forward, backward = medians(seen.forward), medians(seen.backward)
    loss = {
        "forward_ms": forward.pop(LOSS, 0.0),
        "backward_ms": backward.pop(LOSS, 0.0),
    }
    forward = scaled(forward, phases["forward"])
    share = phases["backward"] / (sum(backward.values()) + loss["backward_ms"] or 1.0)
    backward = {name: value * share for name, value in backward.items()}
    kinds = {name: type(module).__name__ for name, module in model.named_modules()}
    modules = tree(kinds, kinds.__getitem__, forward, backward)
    dtype = torch.bfloat16 if steps.learner.precision == "bf16" else torch.float32
    best = peak(device, dtype)
    x, _ = next(steps.feed())
    whole = {
        "steps": len(seen.bounds),
        "step_ms": sum(phases.values()),
        "between": BETWEEN[seen.cuda],
    }
    return {
        "batch": len(x),
        "steps_per_epoch": steps.batches.steps,
        "threads": torch.get_num_threads(),
        "precision": steps.learner.precision,
        "step": step,
        "phases": phases,
        "loss_backward_ms": loss["backward_ms"] * share,
        "modules": modules,
        "layers": layers(costs(model, x, dtype), modules, best),
        "operators": ranked(seen.operators, seen.calls, **whole),
        "kernels": ranked(seen.kernels, seen.kernel_calls, **whole)
        if seen.cuda
        else [],
        "memory": memory(steps, read_trace(trace), typical(seen)),
        "peak": best,
        "profiled_steps": len(seen.bounds),
        "profiled_ms": float(np.median(seen.durations)),
        "trace": trace.name,
    }


def profiled(steps: Steps, trace: Path, step_ms: float) -> Seen:
    """The profiler's view of some steps, and its trace written.

    Of at most three attempts the first whose steps take about as long as the timed ones,
    else the quickest.
    """
    quickest = float("inf")
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ATTEMPTS):
            found = observed(steps, step_ms)
            seen = Seen(found.events(), cuda=steps.fitting.device.type == "cuda")
            took = float(np.median(seen.durations))
            log.info("profiled step: %.2f ms, timed: %.2f ms", took, step_ms)
            if took < quickest:
                quickest, kept = took, seen
                plain = Path(folder) / "trace.json"
                found.export_chrome_trace(str(plain))
            if took <= LONGER * step_ms:
                break
        write_trace(plain, trace)
    if wrong := problems(read_trace(trace)):
        raise LabmillError(f"{trace}: not a trace that Perfetto reads: {wrong[0]}")
    return kept


def observed(steps: Steps, step_ms: float) -> profiler:
    """The profiler, after about two seconds of steps."""
    cuda = steps.fitting.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    wanted = round(PROFILED_S * 1e3 / max(step_ms, 1e-3))
    number = min(MOST, max(LEAST, wanted))
    feed = steps.feed()
    with ranges(steps.fitting.model), annotated(steps):
        steps.one(feed)
        with profiler(activities=activities, profile_memory=True) as found:
            for i in range(number):
                with record_function(f"{STEP}{i}"):
                    steps.one(feed)
    return found


def write_trace(plain: Path, trace: Path) -> None:
    """The profiler's trace as a gzip file, whole or not at all."""
    with (
        plain.open("rb") as source,
        atomic_write(trace, "wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
    ):
        shutil.copyfileobj(source, packed)


def typical(seen: Seen) -> str:
    """The name of the step of median duration."""
    order = seen.durations.argsort()
    return f"{STEP}{order[len(order) // 2]}"


@contextmanager
def annotated(steps: Steps) -> Iterator[None]:
    """Phases as ranges in the trace."""
    steps.clock.annotate = True
    try:
        yield
    finally:
        steps.clock.annotate = False


@contextmanager
def ranges(model: nn.Module) -> Iterator[None]:
    """Every module's forward pass as a range in the trace."""
    with ExitStack() as stack:
        for name, module in model.named_modules():
            open_ranges: list[record_function] = []

            def enter(*_: Any, name: str = name, held: list = open_ranges) -> None:
                held.append(record_function(f"{MODULE}{name}"))
                held[-1].__enter__()

            def leave(*_: Any, held: list = open_ranges) -> None:
                held.pop().__exit__(None, None, None)

            for handle in (
                module.register_forward_pre_hook(enter),
                module.register_forward_hook(leave, always_call=True),
            ):
                stack.callback(handle.remove)
        yield


def scaled(times: dict[str, float], whole: float) -> dict[str, float]:
    """The same shares of another whole."""
    factor = whole / (sum(times.values()) or 1.0)
    return {name: value * factor for name, value in times.items()}


def layers(
    cost: dict[str, dict[str, Any]],
    modules: list[dict[str, Any]],
    best: dict[str, Any],
) -> list[dict[str, Any]]:
    """Cost, time and place under the roof of each module that computes, for a batch."""
    rows = {row["name"]: row for row in modules}
    return [
        {"name": name}
        | own
        | {
            "forward_ms": rows[name]["own_forward_ms"],
            "backward_ms": rows[name]["own_backward_ms"],
        }
        | placed(own, rows[name]["own_forward_ms"], best)
        for name, own in cost.items()
    ]


def memory(steps: Steps, trace: Mapping[str, Any], step: str) -> dict[str, Any]:
    """Bytes that a step holds beside weights, optimizer state and resident images.

    `gradient_bytes`: of all gradients, which are let go at the end of a step.
    """
    timeline = memory_timeline(trace, step)
    weights = (p for p in steps.fitting.model.parameters() if p.requires_grad)
    held = sum(t.numel() * t.element_size() for t in steps.learner.tensors().values())
    images = steps.batches.source.images
    return {
        "state_bytes": held,
        "image_bytes": images.numel() if images is not None else 0,
        "gradient_bytes": sum(p.numel() * p.element_size() for p in weights),
        "step_peak_bytes": max(size for _, size in timeline),
        "timeline": timeline,
        "borders": phase_borders(trace, step),
    }
