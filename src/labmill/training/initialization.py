"""Initial weights by name, drawn from one seed."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from labmill.stats.randomness import seed_for

Built = TypeVar("Built")
RULES: dict[str, Callable[[Tensor], Tensor]] = {
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "kaiming_uniform": lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"),
    "kaiming_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
}


def seeded(seed: int, build: Callable[[], Built]) -> Built:
    """Return `build()`, called with torch's generator at (seed, init).

    The generator is restored afterwards.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_for(seed, "init"))
        return build()


def initialise(model: nn.Module, name: str) -> None:
    """Draw all matrices and kernels by the rule `name`, and set their biases to zero.

    `default` leaves the model as it was built. Weights with three axes are stacks of
    (in, out) matrices, one per head, drawn separately. Norms and embeddings are left as
    they are.
    """
    if name == "default":
        return
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if not isinstance(weight, nn.Parameter) or isinstance(module, nn.Embedding):
            continue
        with torch.no_grad():
            if weight.ndim == 3 and not isinstance(module, nn.Conv1d):
                for matrix in weight:
                    RULES[name](matrix.T)
            elif weight.ndim >= 2:
                RULES[name](weight)
            else:
                continue
            bias = getattr(module, "bias", None)
            if bias is not None:
                bias.zero_()
