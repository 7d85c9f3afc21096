"""Update rules over lists of tensors, each twice: fused kernels, and plain arithmetic.

The fused form is for eager steps, the plain one can be compiled. Both keep the same
state, so that one run can use either. The usual optimizers are not those of `torch.optim`,
whose first one imports torch._dynamo: 3.1 s in every job (measured with torch 2.15), more
than a short training takes. All others are.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from labmill.core import registry
from labmill.core.trees import Settings
from labmill.models.foreign import head_name
from labmill.study.check_models import SHARED, SHARED_BY_TORCH, is_torch
from labmill.study.check_training import FUSED
from labmill.study.schema import Schedule, Training
from labmill.training.early_stopping import last_epoch
from labmill.training.layer_rates import shares

State = dict[str, list[Tensor]]
Tensors = list[Tensor]
# Either a number, or a tensor that a graph reads.
Rate = Any


def zeros(params: Sequence[Tensor]) -> list[Tensor]:
    return [torch.zeros_like(param) for param in params]


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum or Nesterov momentum, and L2."""

    momentum: float
    nesterov: bool
    weight_decay: float

    def state(self, params: Sequence[Tensor]) -> State:
        return {"momentum": zeros(params) if self.momentum else []}

    def fused(self, params: Tensors, grads: Tensors, state: State, rate: Rate) -> None:
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

    def plain(self, params: Tensors, grads: Tensors, state: State, rate: Rate) -> None:
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

    def fused(self, params: Tensors, grads: Tensors, state: State, rate: Rate) -> None:
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

    def plain(self, params: Tensors, grads: Tensors, state: State, rate: Rate) -> None:
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

    def plain(self, params: Tensors, grads: Tensors, state: State, rate: Rate) -> None:
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
    """Return about the nearest semi-orthogonal matrix, by quintic Newton-Schulz.

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


class OfTorch:
    """An optimizer of `torch.optim`, or of the user's that is derived from it."""

    def __init__(self, kind: Callable[..., Any], options: Settings) -> None:
        self.kind, self.options = kind, options

    def state(self, params: Tensors) -> State:
        self.optimizer = self.kind(params, lr=0.0, **self.options)
        return {}

    def plain(self, params: Tensors, grads: Tensors, state: State, rate: Rate) -> None:
        """Take one step; what torch remembers of a parameter begins with the first."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad
        self.optimizer.step()
        for index, param in enumerate(params):
            for name, value in self.optimizer.state[param].items():
                state[f"{name} {index}"] = [value]

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Take over a saved state."""
        found: dict[int, dict[str, Tensor]] = {}
        for key, tensor in saved.items():
            name, index = key.removesuffix(".0").rsplit(" ", 1)
            found.setdefault(int(index), {})[name] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": found, "param_groups": groups})


class Rule(Protocol):
    """An update rule; `fused`, if it has that method, is for eager steps."""

    def state(self, params: Tensors) -> State:
        """Return lists of tensors by name, for these parameters."""

    def plain(self, params: Tensors, grads: Tensors, state: State, rate: Rate) -> None:
        """Change parameters and state in place."""


@dataclass
class Group:
    """Parameters with one rule; `where` are their positions among all parameters."""

    rule: Rule
    where: list[int]
    state: State
    share: float = 1.0  # of the learning rate


class Optimizer:
    """The trainable parameters of a model, their update rules and their state."""

    def __init__(self, model: nn.Module, training: Training) -> None:
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in named]
        self.params: Tensors = [param for _, param in named]
        self.groups = []
        share = dict.fromkeys(self.names, 1.0)
        if training.layer_decay != 1:
            share |= shares(model, training.layer_decay)
        for rule, names in rules(model, training, self.names):
            parts: dict[float, list[int]] = {}
            for i, name in enumerate(self.names):
                if name in names:
                    parts.setdefault(share[name], []).append(i)
            for part, where in parts.items():
                own = copy.copy(rule)
                state = own.state([self.params[i] for i in where])
                self.groups.append(Group(own, where, state, part))

    def states(self) -> list[State]:
        """Return the state of each group, as `update` takes it."""
        return [group.state for group in self.groups]

    def update(
        self,
        params: Tensors,
        grads: Tensors,
        states: Sequence[State],
        rate: Rate,
        *,
        fused: bool,
    ) -> None:
        """Change `params` and `states` in place; tracing passes its own."""
        for group, state in zip(self.groups, states, strict=True):
            plain = group.rule.plain
            apply = getattr(group.rule, "fused", plain) if fused else plain
            mine = [params[i] for i in group.where]
            own = rate if group.share == 1 else rate * group.share
            apply(mine, [grads[i] for i in group.where], state, own)

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Take over a saved state, as `tensors` returned it."""
        for number, group in enumerate(self.groups):
            prefix = f"{number}."
            mine = {
                name.removeprefix(prefix): tensor
                for name, tensor in saved.items()
                if name.startswith(prefix)
            }
            if isinstance(group.rule, OfTorch):
                group.rule.load(mine)
                continue
            for key, tensors in group.state.items():
                for index, tensor in enumerate(tensors):
                    tensor.copy_(mine[f"{key}.{index}"])

    def tensors(self) -> dict[str, Tensor]:
        """Return all state by name, for saving."""
        return {
            f"{number}.{key}.{index}": tensor
            for number, group in enumerate(self.groups)
            for key, tensors in group.state.items()
            for index, tensor in enumerate(tensors)
        }


def rules(
    model: nn.Module, training: Training, names: list[str]
) -> list[tuple[Rule, set[str]]]:
    """Return the update rules, each with the names of its parameters."""
    decay, everything = training.weight_decay, set(names)
    if training.optimizer not in FUSED:
        return [(registered_rule(training), everything)]
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


def registered_rule(training: Training) -> Rule:
    """Return the rule of a registered optimizer, with the options that it takes."""
    name = training.optimizer
    of_torch = is_torch(name)
    options = {
        key: getattr(training, key)
        for key in (SHARED_BY_TORCH if of_torch else SHARED)
        if registry.takes("optimizers", name, key)
    }
    options |= training.optimizer_arguments
    build = registry.load_entry("optimizers", name)
    rule: Rule = OfTorch(build, options) if of_torch else build(**options)
    return rule


def hidden_matrices(model: nn.Module) -> set[str]:
    """Return the names of the weights for Muon: matrices and kernels, not the head's."""
    head = head_name(model)
    return {
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)
        and name != head
        and not name.startswith(f"{head}.")
    }


def learning_rate(training: Training, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of `step` (0-based, over the whole run).

    With T steps in all and w of them warm-up: peak * (step + 1) / w while step < w,
    then peak * f(p), p = (step - w) / (T - w): f is 1, a half cosine or a straight line
    from 1 to `final`, or gamma ** (epoch // step_epochs). With restarts p is how much of
    the present cycle has passed.
    """
    schedule = training.schedule
    warmup = round(schedule.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return training.learning_rate * (step + 1) / warmup
    total = last_epoch(training) * steps_per_epoch
    passed = (step - warmup) / max(1, total - warmup)
    match schedule.kind:
        case "constant":
            share = 1.0
        case "cosine" | "cosine_restarts":
            if schedule.kind == "cosine_restarts":
                passed = cycle_share((step - warmup) / steps_per_epoch, schedule)
            half = (1 + math.cos(math.pi * passed)) / 2
            share = schedule.final + (1 - schedule.final) * half
        case "one_cycle":
            share = 1 - (1 - schedule.final) * passed
        case "step":
            epoch = step // steps_per_epoch
            share = schedule.gamma ** (epoch // schedule.step_epochs)
    return training.learning_rate * share


def cycle_share(epochs: float, schedule: Schedule) -> float:
    """Return how much of its cycle has passed after that many epochs of restarts."""
    length: float = schedule.restart_epochs
    while epochs >= length:
        epochs -= length
        length *= schedule.restart_factor
    return epochs / length
