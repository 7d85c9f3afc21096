"""Update rules over lists of tensors, each twice: fused kernels, and plain arithmetic.

The fused form is for eager steps, the plain one is what a compiler can see through.
Both keep the same state, so that one run may use either for its last, shorter batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from labmill.study import Training

State = dict[str, list[Tensor]]


def zeros(params: Sequence[Tensor]) -> list[Tensor]:
    """A zero for each parameter, in the same memory layout."""
    return [torch.zeros_like(param) for param in params]


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum or Nesterov momentum, and L2."""

    momentum: float
    nesterov: bool
    weight_decay: float

    def state(self, params: Sequence[Tensor]) -> State:
        return {"momentum": zeros(params) if self.momentum else []}

    def fused(self, params, grads, state: State, rate: float | Tensor) -> None:
        torch._fused_sgd_(
            params,
            grads,
            state["momentum"],
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            lr=rate,
            dampening=0.0,
            nesterov=self.nesterov,
            maximize=False,
            is_first_step=False,
        )

    def plain(self, params, grads, state: State, rate: Tensor) -> None:
        for index, (param, grad) in enumerate(zip(params, grads, strict=True)):
            if self.weight_decay:
                grad = grad + self.weight_decay * param
            if self.momentum:
                moving = state["momentum"][index]
                moving.mul_(self.momentum).add_(grad)
                grad = grad + self.momentum * moving if self.nesterov else moving
            param.sub_(rate * grad)


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba, 2015) with L2, or AdamW (Loshchilov & Hutter, 2019)."""

    betas: tuple[float, float]
    weight_decay: float
    decoupled: bool
    epsilon: float = 1e-8

    def state(self, params: Sequence[Tensor]) -> State:
        device = params[0].device if params else None
        return {
            "step": [torch.zeros((), device=device)],
            "first": zeros(params),
            "second": zeros(params),
        }

    def fused(self, params, grads, state: State, rate: float | Tensor) -> None:
        (step,) = state["step"]
        step.add_(1)
        update = torch._fused_adamw_ if self.decoupled else torch._fused_adam_
        update(
            params,
            grads,
            state["first"],
            state["second"],
            [],
            [step] * len(params),
            lr=rate,
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=self.weight_decay,
            eps=self.epsilon,
            amsgrad=False,
            maximize=False,
        )

    def plain(self, params, grads, state: State, rate: Tensor) -> None:
        (step,) = state["step"]
        step.add_(1)
        beta1, beta2 = self.betas
        size = rate / (1 - beta1**step)
        correction = (1 - beta2**step).sqrt()
        for param, grad, first, second in zip(
            params, grads, state["first"], state["second"], strict=True
        ):
            if self.weight_decay and self.decoupled:
                param.mul_(1 - rate * self.weight_decay)
            elif self.weight_decay:
                grad = grad + self.weight_decay * param
            first.lerp_(grad, 1 - beta1)
            second.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
            param.sub_(size * first / (second.sqrt() / correction + self.epsilon))


@dataclass(frozen=True)
class Muon:
    """Momentum whose matrices are orthogonalised (Jordan et al., 2024).

    Kernels count as (out, in * height * width) matrices. Updates are scaled to AdamW's
    usual size (Liu et al., 2025, arXiv:2502.16982), so that one learning rate serves
    both. Nesterov momentum, decoupled weight decay.
    """

    momentum: float
    weight_decay: float

    def state(self, params: Sequence[Tensor]) -> State:
        return {"momentum": zeros(params)}

    def plain(self, params, grads, state: State, rate: float | Tensor) -> None:
        for param, grad, moving in zip(params, grads, state["momentum"], strict=True):
            moving.lerp_(grad, 1 - self.momentum)
            matrix = grad.lerp(moving, self.momentum).flatten(1)
            scale = 0.2 * max(matrix.shape) ** 0.5
            update = orthogonalise(matrix).view(param.shape)
            if self.weight_decay:
                param.mul_(1 - rate * self.weight_decay)
            param.sub_(rate * scale * update)

    fused = plain


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrix, roughly: quintic Newton-Schulz.

    Singular values end between about 0.7 and 1.2 (Jordan et al., 2024, who compute in
    bfloat16; here in the matrix's own type, since small singular values need it).
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


@dataclass
class Group:
    """Parameters under one rule; `where` are their places among all parameters."""

    rule: SGD | Adam | Muon
    where: list[int]
    state: State


class Optimizer:
    """The parameters of a model that learn, their update rules and their state."""

    def __init__(self, model: nn.Module, training: Training) -> None:
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in named]
        self.params = [param for _, param in named]
        self.groups = []
        for rule, names in rules(model, training, self.names):
            where = [i for i, name in enumerate(self.names) if name in names]
            if where:
                state = rule.state([self.params[i] for i in where])
                self.groups.append(Group(rule, where, state))

    def states(self) -> list[State]:
        """The state of each group, to hand to `update`."""
        return [group.state for group in self.groups]

    def update(self, params, grads, states, rate, *, fused: bool) -> None:
        """Change `params` and `states` in place; they may stand for the real ones."""
        for group, state in zip(self.groups, states, strict=True):
            apply = group.rule.fused if fused else group.rule.plain
            mine = [params[i] for i in group.where]
            apply(mine, [grads[i] for i in group.where], state, rate)

    def tensors(self) -> dict[str, Tensor]:
        """All state by name, for saving; loading copies into these."""
        return {
            f"{number}.{key}.{index}": tensor
            for number, group in enumerate(self.groups)
            for key, tensors in group.state.items()
            for index, tensor in enumerate(tensors)
        }


def rules(
    model: nn.Module, training: Training, names: list[str]
) -> list[tuple[SGD | Adam | Muon, set[str]]]:
    """Which rule updates which parameters."""
    decay, everything = training.weight_decay, set(names)
    if training.optimizer == "sgd":
        rule = SGD(training.momentum, training.nesterov, decay)
        return [(rule, everything)]
    if training.optimizer == "adam":
        return [(Adam(training.betas, decay, decoupled=False), everything)]
    adamw = Adam(training.betas, decay, decoupled=True)
    if training.optimizer == "adamw":
        return [(adamw, everything)]
    inner = everything & hidden_matrices(model)
    return [(Muon(training.momentum, decay), inner), (adamw, everything - inner)]


def hidden_matrices(model: nn.Module) -> set[str]:
    """Names of the weights that Muon is for: matrices and kernels, not the head's."""
    return {
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)
        and name.split(".")[0] != "head"
    }
