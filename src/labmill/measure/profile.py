"""Where a training step's time and memory go."""

import gzip
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, record_function
from torch.profiler import profile as profiler

from labmill.errors import LabmillError
from labmill.measure.profile_events import (
    BETWEEN,
    LOSS,
    MODULE,
    STEP,
    Seen,
    medians,
    ranked,
    tree,
)
from labmill.measure.profile_steps import Steps
from labmill.measure.roofline import costs, peak, placed
from labmill.measure.trace import memory_timeline, problems, read_trace
from labmill.runtime import atomic_write

TIMED_S, PROFILED_S = 2.0, 2.0
LEAST, MOST = 3, 20


def profile(trace: Path, **fitting: Any) -> dict[str, Any]:
    """Profile warmed-up training steps and write `trace` (gzip, for Perfetto).

    fitting: arguments of `labmill.training.loop.Fitting`, but `store` and `stop`. The
    model is trained on by the steps. Steps run operation by operation even where a run
    compiles them, since a compiled step has no phases.

    Returns:
        `step` (timed without the profiler), `phases` (ms by name), `modules`, `layers`,
        `operators`, `kernels`, `memory`, `peak`;
        times of modules are scaled so that they add to the phases of unprofiled steps.
    """
    steps = Steps(**fitting)
    step, phases = steps.timed(TIMED_S)
    model, device = steps.fitting.model, steps.fitting.device
    seen, timeline = profiled(steps, trace, step["median_ms"])
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
        "memory": memory(steps, timeline),
        "peak": best,
        "profiled_steps": len(seen.bounds),
        "trace": trace.name,
    }


def profiled(
    steps: Steps, trace: Path, step_ms: float
) -> tuple[Seen, list[list[float]]]:
    """The profiler's view of some steps, its trace written, and one step's memory."""
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
    write_trace(found, trace)
    content = read_trace(trace)
    if wrong := problems(content):
        raise LabmillError(f"{trace}: not a trace that Perfetto reads: {wrong[0]}")
    return Seen(found.events(), cuda=cuda), memory_timeline(
        content, f"{STEP}{number - 1}"
    )


def write_trace(found: profiler, trace: Path) -> None:
    """The profiler's trace as a gzip file, whole or not at all."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "trace.json"
        found.export_chrome_trace(str(plain))
        with (
            plain.open("rb") as source,
            atomic_write(trace, "wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        ):
            shutil.copyfileobj(source, packed)


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


def memory(steps: Steps, timeline: list[list[float]]) -> dict[str, Any]:
    """Bytes that a step holds beside weights, optimizer state and resident images."""
    held = sum(t.numel() * t.element_size() for t in steps.learner.tensors().values())
    images = steps.batches.source.images
    above = max(size for _, size in timeline)
    return {
        "state_bytes": held,
        "image_bytes": images.numel() if images is not None else 0,
        "step_peak_bytes": above,
        "timeline": timeline,
    }
