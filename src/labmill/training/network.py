"""Properties of a network that training needs, for every family."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from labmill.core import registry
from labmill.flops.counter import count


def operations_of(model: nn.Module, shape: Sequence[int]) -> tuple[int, int]:
    """Return multiply-adds per image: of the forward pass, and of a training step.

    The backward pass costs twice the forward pass, in all modules that the gradient
    passes through.
    """
    counted = count(model, shape)
    forward = counted.total.operations
    spared = sum(counted.under(name).operations for name in unreached(model, shape))
    return forward, forward + 2 * (forward - spared)


def unreached(model: nn.Module, shape: Sequence[int]) -> list[str]:
    """Return the outermost modules whose output gets no gradient: frozen or unused."""
    trial = copy.deepcopy(model).cpu().eval()
    outputs: dict[str, Tensor] = {}

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor):
            outputs[name] = output

    for name, module in trial.named_modules():
        module.register_forward_hook(
            lambda _, inputs, output, name=name: note(name, output)
        )
    with torch.enable_grad():
        logits = trial(torch.zeros(1, *shape))
    learning = {n: x for n, x in outputs.items() if x.requires_grad}
    gradients = torch.autograd.grad(
        logits.sum(), list(learning.values()), allow_unused=True
    )
    reached = {
        name
        for name, gradient in zip(learning, gradients, strict=True)
        if gradient is not None
    }
    found: list[str] = []
    for name, _ in trial.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if name in outputs and name not in reached and not inside:
            found.append(name)
    return found


def training_mode(model: nn.Module) -> None:
    """Set training mode, except for modules with only frozen parameters."""
    model.train()
    for module in model.modules():
        params = list(module.parameters())
        if params and not any(param.requires_grad for param in params):
            module.eval()


def draws_random_numbers(model: nn.Module, shape: Sequence[int]) -> bool:
    """Return True if a training step draws from torch's generator (dropout)."""
    trial = copy.deepcopy(model).cpu().train()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        before = torch.get_rng_state()
        trial(torch.zeros(2, *shape))
        return not torch.equal(before, torch.get_rng_state())


def channels_last(name: str) -> bool:
    """Return True if a model wants images as (height, width, channel) in memory."""
    return bool(registry.constant("models", name, "CHANNELS_LAST", False))


def finite(model: nn.Module) -> bool:
    """Return True if all weights are finite; NaN spreads to their largest one."""
    largest = torch._foreach_norm(
        [p.detach() for p in model.parameters()], float("inf")
    )
    return bool(torch.stack([t.float() for t in largest]).isfinite().all())
