"""One training step: forward, backward, clip, update, average; eager or in one graph."""

import copy
import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from labmill.study import Training
from labmill.training.optimizers import Optimizer
from labmill.training.tasks import Task

log = logging.getLogger("labmill")

# Inputs, targets and learning rate to the batch's mean loss and number of right answers.
Step = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]


@dataclass
class Learner:
    """A model in training, with all that a step changes."""

    model: nn.Module
    task: Task
    training: Training
    precision: str

    def __post_init__(self) -> None:
        self.optimizer = Optimizer(self.model, self.training)
        self.averaged: nn.Module | None = None
        self.pairs: tuple[list[Tensor], list[Tensor]] = ([], [])
        if self.training.ema is not None:
            self.averaged = copy.deepcopy(self.model).requires_grad_(False)
            own, average = floats(self.model), floats(self.averaged)
            self.pairs = [average[name] for name in own], list(own.values())

    @property
    def result(self) -> nn.Module:
        """The network that is validated and kept."""
        return self.averaged or self.model

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def tensors(self) -> dict[str, Tensor]:
        """All that steps change, by name."""
        found = prefixed("model", self.model.state_dict())
        found |= prefixed("optimizer", self.optimizer.tensors())
        if self.averaged is not None:
            found |= prefixed("ema", self.averaged.state_dict())
        return found

    def forward(self, model: Callable, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs of the network, and their loss."""
        with autocast(self.precision, x.device):
            outputs = model(x)
        return outputs, self.task.loss(outputs, y, self.training.label_smoothing)

    def eager(
        self, x: Tensor, y: Tensor, rate: float | Tensor
    ) -> tuple[Tensor, Tensor]:
        """One step, operation by operation."""
        outputs, loss = self.forward(self.model, x, y)
        loss.backward()
        params = self.optimizer.params
        with torch.no_grad():
            grads = [
                torch.zeros_like(param) if param.grad is None else param.grad
                for param in params
            ]
            self.finish(params, grads, self.optimizer.states(), self.pairs, rate, True)
            correct = self.task.correct(outputs, y)
        for param in params:
            param.grad = None
        return loss.detach(), correct

    def finish(self, params, grads, states, pairs, rate, fused: bool) -> None:
        """Clip the gradients, update the parameters and move the average."""
        if self.training.gradient_clip is not None:
            norm = torch.stack(torch._foreach_norm(grads)).norm()
            scale = (self.training.gradient_clip / (norm + 1e-6)).clamp(max=1.0)
            torch._foreach_mul_(grads, scale)
        self.optimizer.update(params, grads, states, rate, fused=fused)
        if self.training.ema is not None:
            averages, values = pairs
            torch._foreach_lerp_(averages, values, 1 - self.training.ema)

    def compiled(self, x: Tensor, y: Tensor) -> Step:
        """The whole step as one compiled graph, for inputs shaped as x and y.

        Traced below autograd, so that the compiler sees forward, backward and update
        at once. Batches of another shape take the eager step on the same tensors.
        """
        params = {n: p.detach() for n, p in self.model.named_parameters()}
        state = (
            params,
            dict(self.model.named_buffers()),
            self.optimizer.states(),
            [tensor.detach() for tensor in self.pairs[0]],
        )
        held, spec = _pytree.tree_flatten(state)
        rate = torch.zeros((), device=x.device)
        averaged = list(floats(self.model)) if self.averaged is not None else []

        def step(*flat: Tensor) -> tuple[Tensor, Tensor]:
            *tensors, x, y, rate = flat
            params, buffers, states, averages = _pytree.tree_unflatten(tensors, spec)
            leaves = {
                name: params[name].detach().requires_grad_()
                for name in self.optimizer.names
            }

            def model(x: Tensor) -> Tensor:
                values = {**params, **buffers, **leaves}
                return torch.func.functional_call(self.model, values, (x,))

            outputs, loss = self.forward(model, x, y)
            grads = torch.autograd.grad(
                loss, list(leaves.values()), materialize_grads=True
            )
            with torch.no_grad():
                current = {**params, **buffers}
                pairs = averages, [current[name] for name in averaged]
                learning = [params[name] for name in leaves]
                self.finish(learning, list(grads), states, pairs, rate, False)
                return loss.detach(), self.task.correct(outputs, y)

        from torch._inductor import compile as compile_graph
        from torch.fx.experimental.proxy_tensor import make_fx

        graph = make_fx(step, tracing_mode="fake")(*held, x, y, rate)
        fast = compile_graph(graph, [*held, x, y, rate])
        shape = x.shape

        def run(x: Tensor, y: Tensor, value: float) -> tuple[Tensor, Tensor]:
            if x.shape != shape:
                return self.eager(x, y, value)
            loss, correct = fast(*held, x, y, rate.fill_(value))
            return loss, correct

        return run

    def captured(self, x: Tensor, y: Tensor) -> Step:
        """The eager step as a CUDA graph, for inputs shaped as x and y.

        Launching kernels one by one takes longer than they run in small networks.
        """
        x, y = x.clone(), y.clone()
        rate = torch.zeros((), device=x.device)
        before = {name: tensor.clone() for name, tensor in self.tensors().items()}
        try:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):
                    self.eager(x, y, rate)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                loss, correct = self.eager(x, y, rate)
        finally:
            for name, tensor in self.tensors().items():
                tensor.copy_(before[name])

        def run(inputs: Tensor, targets: Tensor, value: float) -> tuple[Tensor, Tensor]:
            if inputs.shape != x.shape:
                return self.eager(inputs, targets, value)
            x.copy_(inputs)
            y.copy_(targets)
            rate.fill_(value)
            graph.replay()
            return loss.clone(), correct.clone()

        return run


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """bfloat16 where torch holds it safe, or nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def floats(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and floating-point buffers: what can be averaged."""
    named = (*model.named_parameters(), *model.named_buffers())
    return {name: t.detach() for name, t in named if t.is_floating_point()}


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under `prefix.name`."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}
