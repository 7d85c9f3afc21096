"""How fast a machine can be, and how near each layer comes (Williams et al., 2009)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from labmill.measure.latency import timed
from labmill.measure.operations import count

# Side of the matrix product and bytes of the copy: large enough to be at full speed.
SIDE = {"cpu": 1024, "cuda": 8192}
COPIED = {"cpu": 64 << 20, "cuda": 1 << 30}
REPEATS = 10


def peak(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """The machine's best on the present threads: arithmetic, and memory traffic.

    The quickest of ten square matrix products and of ten copies (each byte read and
    written). Returns `gflops`, `gbytes_per_s`, `side`, `dtype`.
    """
    side = SIDE[device.type]
    a = torch.randn(side, side, device=device).to(dtype)
    product = torch.empty_like(a)
    source = torch.zeros(COPIED[device.type], dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    seconds = quickest(lambda: torch.mm(a, a, out=product), device)
    copying = quickest(lambda: target.copy_(source), device)
    return {
        "gflops": 2 * side**3 / seconds / 1e9,
        "gbytes_per_s": 2 * source.numel() / copying / 1e9,
        "side": side,
        "dtype": str(dtype).removeprefix("torch."),
    }


def quickest(work: Any, device: torch.device) -> float:
    """Seconds of the quickest of some calls, after two that do not count."""
    return min([timed(work, device) for _ in range(REPEATS + 2)][2:])


def costs(model: nn.Module, x: Tensor, dtype: torch.dtype) -> dict[str, dict[str, Any]]:
    """What a forward pass over the batch x costs, by module that itself computes.

    `kind, macs, parameters, activation_bytes, traffic_bytes`; bytes for `dtype`.
    Arithmetic outside any leaf is booked on the module that does it.
    """
    table = count(model, x, convention="macs", dtype=dtype)
    kinds = {name: module for name, module in model.named_modules()}
    found: dict[str, dict[str, Any]] = {}
    for row in table.layers:
        name = row.name
        while name not in kinds:
            name = name.rpartition(".")[0]
        if row.kind == "unused":
            continue
        layer = found.setdefault(
            name,
            {
                "kind": type(kinds[name]).__name__,
                "macs": 0,
                "parameters": 0,
                "activation_bytes": 0,
                "traffic_bytes": 0,
            },
        )
        layer["macs"] += row.operations
        for key in ("parameters", "activation_bytes", "traffic_bytes"):
            layer[key] += getattr(row, key)
    return found


def placed(cost: Mapping[str, Any], forward_ms: float, best: Mapping[str, Any]) -> dict:
    """A layer's place under the roof: its forward pass against what is possible.

    A multiply-add is two floating-point operations. `share_of_peak`: of the arithmetic
    peak; `share_of_roof`: of what its arithmetic intensity allows; `bound`: by what.
    """
    flops, traffic = 2 * cost["macs"], max(1, cost["traffic_bytes"])
    intensity = flops / traffic
    roof = min(best["gflops"], intensity * best["gbytes_per_s"])
    gflops = flops / forward_ms / 1e6 if forward_ms > 0 else None
    bound = "arithmetic" if roof == best["gflops"] else "memory"
    known = gflops is not None and flops > 0
    return {
        "intensity": intensity,
        "gflops": gflops,
        "share_of_peak": gflops / best["gflops"] if known else None,
        "share_of_roof": gflops / roof if known else None,
        "bound": bound,
    }
