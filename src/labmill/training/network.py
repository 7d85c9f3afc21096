"""What the loop asks of a network, whatever its family."""

import copy
from collections.abc import Sequence

import torch
from torch import nn

from labmill.measure.operations import count


def operations_of(model: nn.Module, shape: Sequence[int]) -> tuple[int, int]:
    """Multiply-adds per image: of the forward pass, and of a whole training step.

    Going back costs twice what going forward does, in the part that learns: all of the
    network, or its head alone.
    """
    counted = count(model, shape)
    forward = counted.total.operations
    inner = (p for name, p in model.named_parameters() if not name.startswith("head."))
    probe = not any(param.requires_grad for param in inner)
    learning = counted.under("head").operations if probe else forward
    return forward, forward + 2 * learning


def training_mode(model: nn.Module) -> None:
    """Training mode, except for modules all of whose parameters are frozen."""
    model.train()
    for module in model.modules():
        params = list(module.parameters())
        if params and not any(param.requires_grad for param in params):
            module.eval()


def draws_random_numbers(model: nn.Module, shape: Sequence[int]) -> bool:
    """Whether a training step of the model draws from torch's generator (dropout)."""
    trial = copy.deepcopy(model).cpu().train()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        before = torch.get_rng_state()
        trial(torch.zeros(2, *shape))
        return not torch.equal(before, torch.get_rng_state())


def finite(model: nn.Module) -> bool:
    """Whether all weights are finite: their largest is, and NaN spreads to it."""
    largest = torch._foreach_norm(
        [p.detach() for p in model.parameters()], float("inf")
    )
    return bool(torch.stack([t.float() for t in largest]).isfinite().all())
