"""Predict what an edit saves, from the profile of the network before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import nn

from labmill.architecture_edits.catalogue import aligned
from labmill.architecture_edits.records import Prediction
from labmill.core import registry
from labmill.core.records import Settings
from labmill.profiling.records import Profile
from labmill.profiling.roofline import ModuleCost, costs
from labmill.training.records import ModelDescription

Costs = dict[str, ModuleCost]


@dataclass(frozen=True)
class Network:
    """What to build: a model with its arguments, and the shape of its images."""

    name: str
    arguments: Settings
    shape: dict[str, int]

    @classmethod
    def of(cls, about: ModelDescription) -> Self:
        """Take the network from its model.json."""
        return cls(about.name, about.arguments, about.shape)

    def with_layers(self, lines: Sequence[str]) -> Self:
        """Return the network with other layers."""
        return replace(self, arguments={**self.arguments, "layers": list(lines)})

    def build(self) -> nn.Module:
        """Build the network with initial weights."""
        model: nn.Module = registry.build(self.name, **self.shape, **self.arguments)
        return model


def cost_of(network: Network, batch: int) -> tuple[list[str], Costs]:
    """Return the names of a plain network's blocks, in order, and each module's cost.

    No weights are drawn: only shapes matter.
    """
    with torch.device("meta"):
        model: Any = network.build()
    model = model.to_empty(device="cpu")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.reset_running_stats()
    side = network.shape["image_size"]
    x = torch.zeros(batch, network.shape["in_channels"], side, side)
    names = [name for name, _ in model.layers.named_children()]
    return names, costs(model, x, torch.float32)


class Predictor:
    """Predicts a step's time from the profile of the network before the edit.

    An unchanged part takes the same time. The time of a part whose shape changes is
    scaled with its roof: arithmetic at the measured peak plus traffic at the measured
    bandwidth, twice for the backward pass, once for the first layer, which passes no
    gradient on. A new part is as far below its roof as the network's parts with the
    same bound. The optimizer's time follows the parameters; data and loss stay.
    """

    def __init__(self, profile: Profile, network: Network) -> None:
        self.profile, self.network = profile, network
        self.lines: list[str] = list(network.arguments["layers"])
        self.names, self.costs = cost_of(network, profile.batch)
        self.times = {
            row.name: (row.own_forward_ms, row.own_backward_ms)
            for row in profile.modules
        }
        self.first = first_layer(self.costs)
        self.slowness = {}
        for bound in ("arithmetic", "memory"):
            rows = [(n, c) for n, c in self.costs.items() if self.bound(c) == bound]
            whole = sum(self.work(n, c, self.first) for n, c in rows)
            spent = sum(sum(self.times[n]) for n, _ in rows)
            self.slowness[bound] = spent / whole if whole else 1.0

    @property
    def step_ms(self) -> float:
        """Return the milliseconds of the profiled step."""
        return sum(self.profile.phases.model_dump().values())

    def roof(self, cost: ModuleCost) -> float:
        """Return the milliseconds of a forward pass at full speed."""
        best = self.profile.peak
        arithmetic = 2 * cost.macs / best.gflops / 1e6
        return arithmetic + cost.traffic_bytes / best.gbytes_per_s / 1e6

    def bound(self, cost: ModuleCost) -> str:
        """Return what bounds a part: the greater term of its roof."""
        arithmetic = 2 * cost.macs / self.profile.peak.gflops / 1e6
        return "arithmetic" if 2 * arithmetic > self.roof(cost) else "memory"

    def work(self, name: str, cost: ModuleCost, first: str) -> float:
        """Return the milliseconds forward and backward at full speed."""
        return self.roof(cost) * (2 if name == first else 3)

    def predict(self, lines: Sequence[str]) -> Prediction:
        """Predict the time of a step with other layers."""
        names, new = cost_of(self.network.with_layers(lines), self.profile.batch)
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
        phases = self.profile.phases
        before = sum(c.parameters for c in self.costs.values())
        after = sum(c.parameters for c in new.values())
        milliseconds += phases.optimizer * after / before
        milliseconds += self.profile.loss_backward_ms
        milliseconds += sum((phases.data, phases.loss, phases.bookkeeping))
        macs = [sum(c.macs for c in one.values()) for one in (new, self.costs)]
        return Prediction(
            ms=milliseconds,
            saving=1 - milliseconds / self.step_ms,
            operations_saving=1 - macs[0] / macs[1],
            parameters=after,
            macs=macs[0] // self.profile.batch,
        )

    def part(
        self, name: str, cost: ModuleCost, first: str, old: Mapping[str, str]
    ) -> float:
        """Return the milliseconds forward and backward of one module after the edit."""
        work = self.work(name, cost, first)
        before = counterpart(name, old)
        if before in self.costs and self.times.get(before, (0, 0)) != (0, 0):
            known = self.costs[before]
            if known.kind == cost.kind:
                took = self.work(before, known, self.first)
                return sum(self.times[before]) * work / took
        return work * self.slowness[self.bound(cost)]


def first_layer(cost: Costs) -> str:
    """Return the first module with parameters: its input needs no gradient."""
    return next((name for name, c in cost.items() if c.parameters), "")


def counterpart(name: str, old: Mapping[str, str]) -> str:
    """Return the name of a module before the edit; "?" for a new one."""
    if not name.startswith("layers."):
        return name
    block, _, rest = name.removeprefix("layers.").partition(".")
    before = old.get(block)
    return f"layers.{before}" + (f".{rest}" if rest else "") if before else "?"
