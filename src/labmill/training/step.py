"""One training step: forward, backward, clip, update, average; eager or in one graph."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree

from labmill.study.schema import Training
from labmill.training.data_loader import batch_bounds
from labmill.training.optimizers import Optimizer, State
from labmill.training.tasks import Task, loss_of

# (inputs, targets, learning rate) → (mean loss, number of right answers).
StepFunction = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]


@dataclass
class TrainStep:
    """One training step of a model, and all tensors that it changes.

    The compiled form uses `make_fx` and inductor and not `torch.compile`, which needs
    3 s more to import in every job and does not trace the update with the backward pass.
    """

    model: nn.Module
    task: Task
    training: Training
    precision: str

    def __post_init__(self) -> None:
        self.optimizer = Optimizer(self.model, self.training)
        self.loss = loss_of(self.training)
        self.averaged: nn.Module | None = None
        self.pairs: tuple[list[Tensor], list[Tensor]] = ([], [])
        if self.training.ema is not None or self.training.lookahead is not None:
            self.averaged = copy.deepcopy(self.model).requires_grad_(False)
            own, average = floats(self.model), floats(self.averaged)
            self.pairs = [average[name] for name in own], list(own.values())

    @property
    def result(self) -> nn.Module:
        """Return the network that is validated and saved."""
        return self.averaged or self.model

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors that steps change, by name."""
        found = prefixed("model", self.model.state_dict())
        found |= prefixed("optimizer", self.optimizer.tensors())
        if self.averaged is not None:
            found |= prefixed("averaged", self.averaged.state_dict())
        return found

    def load(self, saved: dict[str, Tensor]) -> None:
        """Take over saved tensors, as `tensors` returned them."""
        prefix = "optimizer."
        self.optimizer.load(
            {
                name.removeprefix(prefix): tensor
                for name, tensor in saved.items()
                if name.startswith(prefix)
            }
        )
        for name, tensor in self.tensors().items():
            if not name.startswith(prefix):
                tensor.copy_(saved[name])

    def forward(
        self, model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the outputs of the network, and their loss."""
        with autocast(self.precision, x.device):
            outputs = model(x)
        return outputs, self.task.loss(outputs, y, self.loss)

    def eager(
        self, x: Tensor, y: Tensor, rate: float | Tensor
    ) -> tuple[Tensor, Tensor]:
        """Take one step, operation by operation."""
        losses, right = [], []
        size = -(-len(x) // self.training.accumulate)
        sizes = np.diff(batch_bounds(len(x), size)).tolist()
        for part, targets in zip(x.split(sizes), y.split(sizes), strict=True):
            outputs, loss = self.forward(self.model, part, targets)
            if len(part) < len(x):
                loss = loss * (len(part) / len(x))
            loss.backward()
            losses.append(loss.detach())
            right.append(self.task.correct(outputs.detach(), targets))
        params = self.optimizer.params
        with torch.no_grad():
            grads = [
                torch.zeros_like(param) if param.grad is None else param.grad
                for param in params
            ]
            self.finish(
                params, grads, self.optimizer.states(), self.pairs, rate, fused=True
            )
        for param in params:
            param.grad = None
        return sum(losses[1:], losses[0]), sum(right[1:], right[0])

    def finish(
        self,
        params: list[Tensor],
        grads: list[Tensor],
        states: list[State],
        pairs: tuple[list[Tensor], list[Tensor]],
        rate: float | Tensor,
        *,
        fused: bool,
    ) -> None:
        """Clip the gradients, update the parameters and move the average."""
        if self.training.gradient_clip is not None:
            norm = torch.stack(torch._foreach_norm(grads)).norm()
            scale = (self.training.gradient_clip / (norm + 1e-6)).clamp(max=1.0)
            torch._foreach_mul_(grads, scale)
        self.optimizer.update(params, grads, states, rate, fused=fused)
        if self.training.ema is not None:
            averages, values = pairs
            torch._foreach_lerp_(averages, values, 1 - self.training.ema)

    def look_ahead(self, share: float) -> None:
        """Move the slow weights towards the fast ones, and these to the slow ones."""
        slow, fast = self.pairs
        torch._foreach_lerp_(slow, fast, share)
        torch._foreach_copy_(fast, slow)

    def compiled(self, x: Tensor, y: Tensor) -> StepFunction:
        """Return the step as one compiled graph for inputs of the shape of x and y.

        Traced below autograd, so that the compiler gets forward, backward and update
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
                outputs: Tensor = torch.func.functional_call(self.model, values, (x,))
                return outputs

            outputs, loss = self.forward(model, x, y)
            grads = torch.autograd.grad(
                loss, list(leaves.values()), materialize_grads=True
            )
            with torch.no_grad():
                current = {**params, **buffers}
                pairs = averages, [current[name] for name in averaged]
                learning = [params[name] for name in leaves]
                self.finish(learning, list(grads), states, pairs, rate, fused=False)
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

    def captured(self, x: Tensor, y: Tensor) -> StepFunction:
        """Return the eager step as a CUDA graph for inputs of the shape of x and y.

        In small networks launching kernels one by one takes longer than running them.
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
    """Return a context that computes in bfloat16 where torch considers it safe."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def floats(model: nn.Module) -> dict[str, Tensor]:
    """Return parameters and floating-point buffers, which can be averaged."""
    named = (*model.named_parameters(), *model.named_buffers())
    return {name: t.detach() for name, t in named if t.is_floating_point()}


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the same tensors under `prefix.name`."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}
