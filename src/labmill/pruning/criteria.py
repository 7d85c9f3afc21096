"""Predicted influence of units: criteria map a group to a score per unit.

The unit with the lowest score should matter least. Where layers share their outputs, as
in a residual sum, the rows of all layers count.
"""

from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from labmill.core.errors import LabmillError
from labmill.pruning.structure import WEIGHTED, Group
from labmill.stats.randomness import torch_generator

Criterion = Callable[[Group], Tensor]


def squares(group: Group) -> Tensor:
    """Return Σ w² + b² over weights and bias of the unit, float64 (units,)."""
    return total(group, torch.square)


def l1(group: Group) -> Tensor:
    """Return Σ |w| + |b|, float64 (units,); Li et al., 2017, arXiv:1608.08710."""
    return total(group, torch.abs)


def batchnorm(group: Group) -> Tensor:
    """Return |γ| of the unit's batch norm, float64 (units,).

    Liu et al., 2017, arXiv:1708.06519.
    """
    found = [
        p for p in group.outputs if isinstance(p.module, nn.modules.batchnorm._NormBase)
    ]
    if not found:
        raise LabmillError(
            f"criterion: batchnorm needs a batch norm after every pruned layer; "
            f"{group.layer} has none; allowed there: squares, l1, taylor, random"
        )
    scales: list[Any] = [p.module.weight for p in found]
    owned = zip(scales, found, strict=True)
    return added(rows(scale, p.indices).abs().sum(1) for scale, p in owned)


def taylor(group: Group) -> Tensor:
    """Return |Σ w · ∂L/∂w|, float64 (units,): the change of the loss to first order.

    Molchanov et al., 2019, arXiv:1906.10771. Gradients must be in `.grad`.
    """
    scores = torch.zeros(len(group), dtype=torch.float64)
    for tensor, indices in weights(group):
        assert tensor.grad is not None, "gradients() was not called"
        scores += rows(tensor.detach() * tensor.grad, indices).sum(1)
    return scores.abs()


def total(group: Group, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Return Σ function(w) over weights and biases of each unit."""
    return added(function(rows(t, indices)).sum(1) for t, indices in weights(group))


def added(scores: Iterable[Tensor]) -> Tensor:
    """Return the sum of one or more tensors."""
    return reduce(torch.add, scores)


def weights(group: Group) -> list[tuple[Tensor, Tensor]]:
    """Return weights and biases of the layers that compute the units, with their rows."""
    return [
        (tensor, part.indices)
        for part in group.outputs
        if isinstance(part.module, WEIGHTED)
        for tensor in (part.module.weight, part.module.bias)
        if tensor is not None
    ]


def rows(tensor: Tensor, indices: Tensor) -> Tensor:
    """Return the numbers of each unit in a tensor: float64 (units, n), on the CPU."""
    return tensor.detach().double().cpu()[indices].flatten(1)


CRITERIA: dict[str, Criterion] = {
    "squares": squares,
    "l1": l1,
    "batchnorm": batchnorm,
    "taylor": taylor,
}
NEEDS_GRADIENTS = ("taylor",)


def criterion(name: str, *, seed: int, step: int) -> Criterion:
    """Return the criterion of that name; `random` draws by (seed, layer, step)."""
    if name != "random":
        return CRITERIA[name]

    def random(group: Group) -> Tensor:
        generator = torch_generator(seed, f"prune {group.layer}", step)
        return torch.rand(len(group), dtype=torch.float64, generator=generator)

    return random
