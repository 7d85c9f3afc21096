"""The profiler's events by module, operator and kernel: medians over its steps."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from torch.autograd.profiler_util import FunctionEvent

from labmill.core.records import Settings
from labmill.profiling.records import ModuleTime, OperatorTime
from labmill.profiling.trace import MODULE, PHASE, STEP

LOSS = "(loss)"
BETWEEN = {False: "(Python, between operators)", True: "(GPU idle)"}
EVALUATE = "autograd::engine::evaluate_function: "
Times = dict[str, np.ndarray]


class Seen:
    """Own times per step, in ms: of modules forward and backward, and of operators.

    A backward operator belongs to the module whose forward operator has its sequence
    number; autograd adds a gradient to its parameter right after computing it. On a
    GPU the times are those of the kernels that an operator started.
    """

    def __init__(self, events: Iterable[FunctionEvent], *, cuda: bool) -> None:
        self.cuda = cuda
        timed = (event for event in events if event.name != "[memory]")
        self.events = sorted(timed, key=lambda event: event.time_range.start)
        host = [e for e in self.events if not on_device(e)]
        steps = [e for e in host if e.name.startswith(STEP)]
        self.bounds = [(e.time_range.start, e.time_range.end) for e in steps]
        self.forward: Times = {}
        self.backward: Times = {}
        self.operators: Times = {}
        self.calls: dict[str, int] = {}
        self.kernels: Times = {}
        self.kernel_calls: dict[str, int] = {}
        self._read(host)
        self._read_kernels()

    def _read(self, host: list[FunctionEvent]) -> None:
        sequence: dict[int, str] = {}
        last = LOSS
        for event in host:
            # By time: a GPU's backward pass runs in a thread outside the step's range.
            step = self._step_at(event.time_range.start)
            if step is None:
                continue
            phase, module = self._inside(event)
            if phase in ("forward", "loss"):
                name = module if module is not None else LOSS
                if event.sequence_nr >= 0:
                    sequence[event.sequence_nr] = name
                self._add(self.forward, name, step, self._time(event))
            elif phase == "backward" and event.name.startswith(EVALUATE):
                if not event.name.endswith("AccumulateGrad"):
                    last = sequence.get(event.sequence_nr, LOSS)
                self._add(self.backward, last, step, self._time(event, ""))
            if not event.name.startswith((MODULE, PHASE, STEP)):
                self._add(self.operators, event.name, step, self._time(event))
                self.calls[event.name] = self.calls.get(event.name, 0) + 1

    def _read_kernels(self) -> None:
        for event in self.events:
            if not on_device(event) or event.name.startswith((MODULE, PHASE, STEP)):
                continue
            step = self._step_at(event.time_range.start)
            if step is not None:
                length = event.time_range.elapsed_us() / 1e3
                self._add(self.kernels, event.name, step, length)
                self.kernel_calls[event.name] = self.kernel_calls.get(event.name, 0) + 1

    def _step_at(self, moment: float) -> int | None:
        for number, (start, end) in enumerate(self.bounds):
            if start <= moment <= end:
                return number
        return None

    def _inside(self, event: FunctionEvent) -> tuple[str | None, str | None]:
        """Return the phase and the innermost module around an event, itself included."""
        module: str | None = None
        at: Any = event
        while at is not None:
            if module is None and at.name.startswith(MODULE):
                module = at.name.removeprefix(MODULE)
            if at.name.startswith(PHASE):
                return at.name.removeprefix(PHASE), module
            at = at.cpu_parent
        return ("backward" if event.name.startswith(EVALUATE) else None), module

    def _time(self, event: FunctionEvent, own: str = "self_") -> float:
        name = f"{own}{'device' if self.cuda else 'cpu'}_time_total"
        return float(getattr(event, name)) / 1e3

    def _add(self, where: Times, name: str, step: int, value: float) -> None:
        row = where.setdefault(name, np.zeros(len(self.bounds)))
        row[step] += value

    @property
    def durations(self) -> np.ndarray:
        """Return the milliseconds of each step, by wall time."""
        return np.array([end - start for start, end in self.bounds]) / 1e3


def on_device(event: FunctionEvent) -> bool:
    """Return True if an event ran on an accelerator."""
    return bool(event.device_type.name != "CPU")


def medians(times: Times) -> dict[str, float]:
    """Return the median over the steps for each name."""
    return {name: float(np.median(values)) for name, values in times.items()}


def ranked(
    times: Times, calls: dict[str, int], *, steps: int, step_ms: float, between: str
) -> list[OperatorTime]:
    """Return the rows of a step of `step_ms`, the longest first.

    The rest of the step is the row `between`; where the profiler made the rows longer
    than the step, all are shortened by the same factor.
    """
    typical = medians(times)
    factor = min(1.0, step_ms / (sum(typical.values()) or 1.0))
    rows = [
        OperatorTime(
            name=name,
            ms=value * factor,
            calls=round(calls.get(name, 0) / max(1, steps), 2),
            share=value * factor / step_ms,
        )
        for name, value in typical.items()
    ]
    left = max(0.0, step_ms - sum(row.ms for row in rows))
    rows.append(OperatorTime(name=between, ms=left, calls=0, share=left / step_ms))
    return sorted(rows, key=lambda row: -row.ms)


def tree(
    names: Iterable[str],
    kind: Callable[[str], str],
    forward: dict[str, float],
    backward: dict[str, float],
) -> list[ModuleTime]:
    """Return own and inclusive times of each module, parents first.

    `names` are module paths, "" is the whole network.
    """
    rows: dict[str, Settings] = {
        name: {
            "name": name,
            "parent": name.rpartition(".")[0] if name else None,
            "kind": kind(name),
            "own_forward_ms": forward.get(name, 0.0),
            "own_backward_ms": backward.get(name, 0.0),
            "forward_ms": forward.get(name, 0.0),
            "backward_ms": backward.get(name, 0.0),
        }
        for name in names
    }
    for name in sorted(rows, key=lambda n: -n.count(".") if n else 1):
        row = rows[name]
        if row["parent"] is not None:
            for key in ("forward_ms", "backward_ms"):
                rows[row["parent"]][key] += row[key]
    return [ModuleTime(**row) for row in rows.values()]
