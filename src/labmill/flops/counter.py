"""Operation counts: arithmetic, parameters and bytes of a model, layer by layer.

The model runs once; every tensor operation, functional ones included, is assigned to
the module that called it and counted by its rule (`labmill.flops.rules`), under
the chosen convention (`labmill.flops.table`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from labmill.core.trees import Settings
from labmill.flops.rules import Cost, rule_for
from labmill.flops.table import (
    Convention,
    Count,
    LayerCount,
    Quantities,
    get_convention,
)


def count(
    model: nn.Module,
    inputs: Sequence[int] | torch.Tensor | tuple[torch.Tensor, ...],
    *,
    convention: str | Convention = "macs",
    dtype: torch.dtype = torch.float32,
) -> Count:
    """Count what one forward pass of `model` in evaluation mode costs.

    Arithmetic on integers (indices, token masks) is not counted; a parameter is counted
    where it is first used, unused ones in rows of kind "unused".

    Args:
        model: the network.
        inputs: the shape of one input without its batch axis, such as (channels,
            height, width), counted for one image; or the input tensor(s) themselves,
            counted for their batch.
        convention: what counts as an operation.
        dtype: the type that bytes are counted for; the pass uses the model's own.
    """
    if isinstance(inputs, torch.Tensor):
        inputs = (inputs,)
    elif not isinstance(inputs[0], torch.Tensor):
        like = next(iter(model.parameters()), torch.empty(0))
        inputs = (torch.zeros(1, *inputs, dtype=like.dtype, device=like.device),)
    recorder = _Recorder(model, get_convention(convention), dtype)
    with ExitStack() as stack:
        stack.enter_context(_evaluation(model))
        stack.enter_context(recorder.modules_tracked())
        # Without autograd PyTorch shows whole operations (linear, attention) instead
        # of the kernels that one machine happens to have for them.
        stack.enter_context(torch.inference_mode())
        stack.enter_context(recorder)
        model(*inputs)
    return recorder.result()


@contextmanager
def _evaluation(model: nn.Module) -> Iterator[None]:
    """Switch to evaluation mode, without fused encoder layers that hide their parts."""
    modes = {module: module.training for module in model.modules()}
    fast = torch.backends.mha.get_fastpath_enabled()
    model.eval()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module, training in modes.items():
            module.training = training


class _Recorder(TorchDispatchMode):
    def __init__(
        self, model: nn.Module, convention: Convention, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.model, self.convention, self.dtype = model, convention, dtype
        self.path: list[tuple[str, bool]] = []
        self.layers: list[LayerCount] = []
        self.names: Counter[str] = Counter()
        self.uncounted: dict[str, None] = {}
        self.unused = {
            parameter.untyped_storage().data_ptr(): (name, parameter.numel())
            for name, parameter in model.named_parameters()
        }

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Nothing is compiled here; skipping would import the compiler, for seconds.
        return False

    @contextmanager
    def modules_tracked(self) -> Iterator[None]:
        with ExitStack() as stack:
            for name, module in self.model.named_modules():
                entry = name, not any(module.children())

                def enter(*_: Any, entry: tuple[str, bool] = entry) -> None:
                    self.path.append(entry)

                def leave(*_: Any) -> None:
                    self.path.pop()

                for handle in (
                    module.register_forward_pre_hook(enter, prepend=True),
                    module.register_forward_hook(leave, always_call=True),
                ):
                    stack.callback(handle.remove)
            yield

    def __torch_dispatch__(
        self,
        operation: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Settings | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        rule = rule_for(operation)
        if rule is None:
            with self:
                result = operation.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = operation(*args, **kwargs)
        read = _tensors((args, kwargs))
        written = _tensors(result)
        if not any(t.is_floating_point() for t in read) or not written:
            return result
        if not operation._schema.is_mutable and _shared(read, written):
            return result
        name = operation.overloadpacket.__name__.strip("_")
        if rule is None:
            self.uncounted[name] = None
        self.record(name, rule(args, result) if rule else Cost(name), read, written)
        return result

    def record(
        self,
        operation: str,
        cost: Cost,
        read: list[torch.Tensor],
        written: list[torch.Tensor],
    ) -> None:
        arithmetic = sum(map(self.convention.keep, cost.parts), Quantities())
        outputs = sum(map(self.bytes_of, written))
        if cost.kind in ("embedding", "data"):
            indices = (t for t in read if not t.is_floating_point())
            inputs = outputs + sum(map(self.bytes_of, indices))
        else:
            inputs = sum(map(self.bytes_of, read))
        scores = 0
        if self.convention.materialise_attention:
            scores = cost.scores * self.dtype.itemsize
        # A parameter counts where it is first used.
        pointers = (tensor.untyped_storage().data_ptr() for tensor in read)
        memory = Quantities(
            parameters=sum(self.unused.pop(p, ("", 0))[1] for p in pointers),
            activation_bytes=(0 if _shared(read, written) else outputs) + 2 * scores,
            traffic_bytes=inputs + outputs + 4 * scores,
        )
        path, leaf = self.path[-1] if self.path else ("", False)
        name = path
        if not leaf or not path or self.names[path]:
            name = f"{path}.{operation}".lstrip(".")
        self.names[name] += 1
        if self.names[name] > 1:
            name = f"{name}_{self.names[name]}"
        self.layers.append(
            LayerCount(
                name=name,
                kind=cost.kind,
                input_shape=tuple(read[0].shape),
                output_shape=tuple(written[0].shape),
                **asdict(arithmetic + memory),
            )
        )

    def bytes_of(self, tensor: torch.Tensor) -> int:
        floating = tensor.is_floating_point()
        size = self.dtype.itemsize if floating else tensor.element_size()
        return tensor.numel() * size

    def result(self) -> Count:
        unused = (
            LayerCount(
                name=name, kind="unused", input_shape=(), output_shape=(), parameters=n
            )
            for name, n in self.unused.values()
        )
        return Count(
            layers=(*self.layers, *unused),
            convention=self.convention,
            dtype=str(self.dtype).removeprefix("torch."),
            uncounted=tuple(self.uncounted),
        )


def _tensors(value: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def _shared(read: list[torch.Tensor], written: list[torch.Tensor]) -> bool:
    """Return True if all that was written lies in memory that was read."""
    known = {tensor.untyped_storage().data_ptr() for tensor in read}
    return all(tensor.untyped_storage().data_ptr() in known for tensor in written)
