"""Predicted influence of units: criteria map a group to a score per unit.

A unit with a low score is expected to be missed least. Where layers share their
outputs, as in a residual sum, the rows of all of them count.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from labmill.errors import LabmillError, suggest
from labmill.pruning.removal import WEIGHTED, Group
from labmill.randomness import torch_generator

Criterion = Callable[[Group], Tensor]


def squares(group: Group) -> Tensor:
    """Σ w² + b² over the weights and the bias of the unit, float64 (units,)."""
    return total(group, torch.square)


def l1(group: Group) -> Tensor:
    """Σ |w| + |b|, float64 (units,); Li et al., 2017, arXiv:1608.08710."""
    return total(group, torch.abs)


def batchnorm(group: Group) -> Tensor:
    """|γ| of the unit's batch norm, float64 (units,); Liu et al., 2017,
    arXiv:1708.06519. LabmillError where the layer has none.
    """
    found = [
        p for p in group.outputs if isinstance(p.module, nn.modules.batchnorm._NormBase)
    ]
    if not found:
        raise LabmillError(
            f"criterion: batchnorm needs a batch norm after every pruned layer; "
            f"{group.layer} has none; allowed there: squares, l1, taylor, random"
        )
    return sum(rows(p.module.weight, p.indices).abs().sum(1) for p in found)


def taylor(group: Group) -> Tensor:
    """|Σ w · ∂L/∂w|, float64 (units,): what the loss loses to first order.

    Molchanov et al., 2019, arXiv:1906.10771. Gradients must stand in `.grad`.
    """
    scores = torch.zeros(len(group), dtype=torch.float64)
    for tensor, indices in weights(group):
        scores += rows(tensor.detach() * tensor.grad, indices).sum(1)
    return scores.abs()


def total(group: Group, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Σ function(w) over weights and biases of each unit."""
    return sum(function(rows(t, indices)).sum(1) for t, indices in weights(group))


def weights(group: Group) -> list[tuple[Tensor, Tensor]]:
    """Weights and biases of the layers that make the units, with the units' rows."""
    return [
        (tensor, part.indices)
        for part in group.outputs
        if isinstance(part.module, WEIGHTED)
        for tensor in (part.module.weight, part.module.bias)
        if tensor is not None
    ]


def rows(tensor: Tensor, indices: Tensor) -> Tensor:
    """What each unit owns of a tensor: float64 (units, numbers), on the CPU."""
    return tensor.detach().double().cpu()[indices].flatten(1)


CRITERIA: dict[str, Criterion] = {
    "squares": squares,
    "l1": l1,
    "batchnorm": batchnorm,
    "taylor": taylor,
}
NEEDS_GRADIENTS = ("taylor",)


def criterion(name: str, *, seed: int, step: int) -> Criterion:
    """The criterion of that name; `random` draws by (seed, layer, step).

    LabmillError for an unknown name.
    """
    if name == "random":

        def random(group: Group) -> Tensor:
            generator = torch_generator(seed, f"prune {group.layer}", step)
            return torch.rand(len(group), dtype=torch.float64, generator=generator)

        return random
    if name not in CRITERIA:
        raise LabmillError(
            f"criterion: found {name!r}; {suggest(name, [*CRITERIA, 'random'])}"
        )
    return CRITERIA[name]
