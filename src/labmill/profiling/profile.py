"""Profile training steps: where their time and memory go."""

import gzip
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.profiler import ProfilerActivity, record_function
from torch.profiler import profile as profiler

from labmill.core.errors import LabmillError
from labmill.core.files import atomic_write
from labmill.core.logs import log
from labmill.core.records import Settings
from labmill.profiling.events import BETWEEN, LOSS, Seen, medians, ranked, tree
from labmill.profiling.records import (
    LayerCost,
    Memory,
    ModuleTime,
    Peak,
    Phases,
    Profile,
)
from labmill.profiling.roofline import ModuleCost, costs, peak, under_roof
from labmill.profiling.steps import Steps
from labmill.profiling.trace import (
    MODULE,
    STEP,
    Event,
    memory_timeline,
    phase_borders,
    problems,
    read_trace,
)
from labmill.training.inputs import TrainingJob

TIMED_S, PROFILED_S = 2.0, 2.0
LEAST, MOST = 3, 20
# A profiled step takes longer than a timed one: the profiler notes every call. Where it
# takes longer than that, other work was in its way, and it is profiled again.
LONGER, ATTEMPTS = 1.25, 3


def profile(
    trace: Path, model: nn.Module, job: TrainingJob, device: torch.device
) -> Profile:
    """Profile warmed-up training steps and write their trace (gzip, for Perfetto).

    The steps train the model. Times of modules are scaled to the phases of steps that
    were timed without the profiler.
    """
    steps = Steps(model, job, device)
    step, phases = steps.timed(TIMED_S)
    seen = profiled(steps, trace, step.median_ms)
    forward, backward = medians(seen.forward), medians(seen.backward)
    forward.pop(LOSS, 0.0)
    loss_backward = backward.pop(LOSS, 0.0)
    factor = phases["forward"] / (sum(forward.values()) or 1.0)
    forward = {name: value * factor for name, value in forward.items()}
    share = phases["backward"] / (sum(backward.values()) + loss_backward or 1.0)
    backward = {name: value * share for name, value in backward.items()}
    kinds = {name: type(module).__name__ for name, module in model.named_modules()}
    modules = tree(kinds, kinds.__getitem__, forward, backward)
    dtype = torch.bfloat16 if steps.step.precision == "bf16" else torch.float32
    best = peak(device, dtype)
    x, _ = next(steps.feed())
    typical = seen.durations.argsort()[len(seen.durations) // 2]
    whole: Settings = {
        "steps": len(seen.bounds),
        "step_ms": sum(phases.values()),
        "between": BETWEEN[seen.cuda],
    }
    return Profile(
        batch=len(x),
        steps_per_epoch=steps.batches.steps,
        threads=torch.get_num_threads(),
        precision=steps.step.precision,
        step=step,
        phases=Phases(**phases),
        loss_backward_ms=loss_backward * share,
        modules=modules,
        layers=layers(costs(model, x, dtype), modules, best),
        operators=ranked(seen.operators, seen.calls, **whole),
        kernels=ranked(seen.kernels, seen.kernel_calls, **whole) if seen.cuda else [],
        memory=memory(steps, read_trace(trace), f"{STEP}{typical}"),
        peak=best,
        profiled_steps=len(seen.bounds),
        profiled_ms=float(np.median(seen.durations)),
        trace=trace.name,
    )


def profiled(steps: Steps, trace: Path, step_ms: float) -> Seen:
    """Return the profiler's view of some steps, and write its trace.

    Of at most three attempts the first whose steps take about as long as the timed ones,
    else the quickest.
    """
    quickest = float("inf")
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ATTEMPTS):
            found = observed(steps, step_ms)
            seen = Seen(found.events(), cuda=steps.device.type == "cuda")
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
    """Return the profiler after about two seconds of steps."""
    cuda = steps.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    wanted = round(PROFILED_S * 1e3 / max(step_ms, 1e-3))
    number = min(MOST, max(LEAST, wanted))
    feed = steps.feed()
    steps.clock.annotate = True
    with ranges(steps.model):
        steps.one(feed)
        with profiler(activities=activities, profile_memory=True) as found:
            for i in range(number):
                with record_function(f"{STEP}{i}"):
                    steps.one(feed)
    steps.clock.annotate = False
    return found


def write_trace(plain: Path, trace: Path) -> None:
    """Write the profiler's trace as a gzip file, atomically."""
    with (
        plain.open("rb") as source,
        atomic_write(trace, "wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
    ):
        shutil.copyfileobj(source, packed)


@contextmanager
def ranges(model: nn.Module) -> Iterator[None]:
    """Mark every module's forward pass as a range in the trace."""
    with ExitStack() as stack:
        for name, module in model.named_modules():
            open_ranges: list[record_function] = []

            def enter(
                *_: Any, name: str = name, held: list[record_function] = open_ranges
            ) -> None:
                held.append(record_function(f"{MODULE}{name}"))
                held[-1].__enter__()

            def leave(*_: Any, held: list[record_function] = open_ranges) -> None:
                held.pop().__exit__(None, None, None)

            for handle in (
                module.register_forward_pre_hook(enter),
                module.register_forward_hook(leave, always_call=True),
            ):
                stack.callback(handle.remove)
        yield


def layers(
    cost: dict[str, ModuleCost], modules: list[ModuleTime], best: Peak
) -> list[LayerCost]:
    """Return cost, time and place under the roofline of each module that computes."""
    rows = {row.name: row for row in modules}
    return [
        LayerCost(
            name=name,
            **asdict(own),
            forward_ms=rows[name].own_forward_ms,
            backward_ms=rows[name].own_backward_ms,
            **under_roof(own, rows[name].own_forward_ms, best),
        )
        for name, own in cost.items()
    ]


def memory(steps: Steps, trace: Event, step: str) -> Memory:
    """Return the bytes that a step needs."""
    timeline = memory_timeline(trace, step)
    weights = (p for p in steps.model.parameters() if p.requires_grad)
    state = sum(t.numel() * t.element_size() for t in steps.step.tensors().values())
    images = steps.batches.source.images
    return Memory(
        state_bytes=state,
        image_bytes=images.numel() if images is not None else 0,
        gradient_bytes=sum(p.numel() * p.element_size() for p in weights),
        step_peak_bytes=max(size for _, size in timeline),
        timeline=timeline,
        borders=phase_borders(trace, step),
    )
