"""What an edit will save, from the profile of the network before it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from labmill import registry
from labmill.measure.edits import aligned
from labmill.measure.roofline import costs

Costs = dict[str, dict[str, Any]]


def cost_of(spec: Mapping[str, Any], batch: int) -> tuple[list[str], Costs]:
    """Names of a plain network's blocks, in order, and what each module costs.

    spec: `name`, `arguments`, `num_classes`, `image_size`, `in_channels`. Weights are
    not drawn: only shapes matter.
    """
    shape = {k: spec[k] for k in ("num_classes", "image_size", "in_channels")}
    with torch.device("meta"):
        model = registry.build(spec["name"], **shape, **spec["arguments"])
    model = model.to_empty(device="cpu")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.reset_running_stats()
    side = spec["image_size"]
    x = torch.zeros(batch, spec["in_channels"], side, side)
    names = [name for name, _ in model.layers.named_children()]
    return names, costs(model, x, torch.float32)


class Predictor:
    """Predicts a step's time from the profile of the network before the edit.

    A part that an edit leaves as it is takes as long as it took. A part whose shape
    changes takes as much longer as its roof says: arithmetic at the measured peak plus
    traffic at the measured bandwidth, the backward pass twice that, once for the first
    layer, which passes no gradient on. A new part runs as far below its roof as the
    parts of the network do that arithmetic, or memory, bounds likewise. The optimizer's
    time follows the parameters; data and loss stay.
    """

    def __init__(
        self, profile: Mapping[str, Any], lines: Sequence[str], spec: Mapping[str, Any]
    ) -> None:
        self.profile, self.lines, self.spec = profile, list(lines), spec
        self.names, self.costs = cost_of(spec, profile["batch"])
        self.times = {
            row["name"]: (row["own_forward_ms"], row["own_backward_ms"])
            for row in profile["modules"]
        }
        self.first = first_layer(self.costs)
        self.slowness = {
            bound: self._slowness(bound) for bound in ("arithmetic", "memory")
        }

    @property
    def step_ms(self) -> float:
        """The step that was profiled."""
        return sum(self.profile["phases"].values())

    def roof(self, cost: Mapping[str, Any]) -> float:
        """Milliseconds of a forward pass at full speed."""
        best = self.profile["peak"]
        arithmetic = 2 * cost["macs"] / best["gflops"] / 1e6
        return arithmetic + cost["traffic_bytes"] / best["gbytes_per_s"] / 1e6

    def bound(self, cost: Mapping[str, Any]) -> str:
        """What bounds a part: the greater term of its roof."""
        arithmetic = 2 * cost["macs"] / self.profile["peak"]["gflops"] / 1e6
        return "arithmetic" if 2 * arithmetic > self.roof(cost) else "memory"

    def work(self, name: str, cost: Mapping[str, Any], first: str) -> float:
        """Milliseconds forward and backward at full speed."""
        return self.roof(cost) * (2 if name == first else 3)

    def _slowness(self, bound: str) -> float:
        rows = [(n, c) for n, c in self.costs.items() if self.bound(c) == bound]
        whole = sum(self.work(n, c, self.first) for n, c in rows)
        spent = sum(sum(self.times[n]) for n, _ in rows)
        return spent / whole if whole else 1.0

    def predict(self, lines: Sequence[str]) -> dict[str, float]:
        """`ms` of a step with those lines, its `saving`, and that of operations alone."""
        spec = {
            **self.spec,
            "arguments": {**self.spec["arguments"], "layers": list(lines)},
        }
        names, new = cost_of(spec, self.profile["batch"])
        old = {
            names[after]: self.names[before]
            for after, before in aligned(self.lines, lines).items()
        }
        first = first_layer(new)
        milliseconds = sum(
            self.part(name, cost, first, old) for name, cost in new.items()
        )
        overhead = sum(sum(t) for n, t in self.times.items() if n not in self.costs)
        milliseconds += overhead * len(names) / len(self.names)
        phases = self.profile["phases"]
        before = sum(c["parameters"] for c in self.costs.values())
        after = sum(c["parameters"] for c in new.values())
        milliseconds += phases["optimizer"] * after / before
        milliseconds += self.profile["loss_backward_ms"]
        milliseconds += sum(phases[name] for name in ("data", "loss", "bookkeeping"))
        macs = [sum(c["macs"] for c in one.values()) for one in (new, self.costs)]
        return {
            "ms": milliseconds,
            "saving": 1 - milliseconds / self.step_ms,
            "operations_saving": 1 - macs[0] / macs[1],
            "parameters": after,
            "macs": macs[0] // self.profile["batch"],
        }

    def part(
        self, name: str, cost: Mapping[str, Any], first: str, old: Mapping[str, str]
    ) -> float:
        """Milliseconds forward and backward of one module of the edited network."""
        work = self.work(name, cost, first)
        before = counterpart(name, old)
        if before in self.costs and self.times.get(before, (0, 0)) != (0, 0):
            known = self.costs[before]
            if known["kind"] == cost["kind"]:
                return (
                    sum(self.times[before])
                    * work
                    / self.work(before, known, self.first)
                )
        return work * self.slowness[self.bound(cost)]


def first_layer(cost: Mapping[str, Mapping[str, Any]]) -> str:
    """The first module with parameters: its input needs no gradient."""
    return next((name for name, c in cost.items() if c["parameters"]), "")


def counterpart(name: str, old: Mapping[str, str]) -> str:
    """What a module was called before the edit; "?" for a new one."""
    if not name.startswith("layers."):
        return name
    block, _, rest = name.removeprefix("layers.").partition(".")
    before = old.get(block)
    return f"layers.{before}" + (f".{rest}" if rest else "") if before else "?"
