"""Roofline model: a machine's peak, and how near each layer is (Williams et al., 2009)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from labmill.core.records import Settings
from labmill.flops.counter import count
from labmill.profiling.latency import timed
from labmill.profiling.records import Peak

# Side of the matrix product and bytes of the copy: large enough to be at full speed.
SIDE = {"cpu": 1024, "cuda": 8192}
COPIED = {"cpu": 64 << 20, "cuda": 1 << 30}
REPEATS = 10


def peak(device: torch.device, dtype: torch.dtype) -> Peak:
    """Measure the machine's best with the present threads: arithmetic, memory traffic.

    The quickest of ten square matrix products and of ten copies (each byte read and
    written).
    """
    side = SIDE[device.type]
    a = torch.randn(side, side, device=device).to(dtype)
    product = torch.empty_like(a)
    source = torch.zeros(COPIED[device.type], dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    seconds = quickest(lambda: torch.mm(a, a, out=product), device)
    copying = quickest(lambda: target.copy_(source), device)
    return Peak(
        gflops=2 * side**3 / seconds / 1e9,
        gbytes_per_s=2 * source.numel() / copying / 1e9,
        side=side,
        dtype=str(dtype).removeprefix("torch."),
    )


def quickest(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of the quickest of some calls, after two that do not count."""
    return min([timed(work, device) for _ in range(REPEATS + 2)][2:])


@dataclass
class ModuleCost:
    """What a module costs for a batch; bytes for one data type."""

    kind: str
    macs: int = 0
    parameters: int = 0
    activation_bytes: int = 0
    traffic_bytes: int = 0


def costs(model: nn.Module, x: Tensor, dtype: torch.dtype) -> dict[str, ModuleCost]:
    """Return the cost of a forward pass over the batch x, by module that computes.

    Arithmetic outside any leaf counts for the module that does it.
    """
    table = count(model, x, convention="macs", dtype=dtype)
    kinds = dict(model.named_modules())
    found: dict[str, ModuleCost] = {}
    for row in table.layers:
        name = row.name
        while name not in kinds:
            name = name.rpartition(".")[0]
        if row.kind == "unused":
            continue
        layer = found.setdefault(name, ModuleCost(type(kinds[name]).__name__))
        layer.macs += row.operations
        layer.parameters += row.parameters
        layer.activation_bytes += row.activation_bytes
        layer.traffic_bytes += row.traffic_bytes
    return found


def under_roof(cost: ModuleCost, forward_ms: float, best: Peak) -> Settings:
    """Return the last fields of `LayerCost`: a forward pass against the possible.

    A multiply-add is two floating-point operations. `share_of_peak` is of the
    arithmetic peak, `share_of_roof` of what the arithmetic intensity allows.
    """
    flops, traffic = 2 * cost.macs, max(1, cost.traffic_bytes)
    intensity = flops / traffic
    roof = min(best.gflops, intensity * best.gbytes_per_s)
    gflops = flops / forward_ms / 1e6 if forward_ms > 0 else None
    known = gflops if flops > 0 else None
    return {
        "intensity": intensity,
        "gflops": gflops,
        "share_of_peak": None if known is None else known / best.gflops,
        "share_of_roof": None if known is None else known / roof,
        "bound": "arithmetic" if roof == best.gflops else "memory",
    }
