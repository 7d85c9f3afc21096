"""Remove channels and neurons from a network, and all that depends on them.

Dependencies (the next layer's inputs, batch norm, flatten, residual sums) are found by
torch-pruning's dependency graph (Fang et al., 2023, arXiv:2301.12900). This is the only
module that uses that library.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from labmill.core.errors import LabmillError, suggest
from labmill.core.trees import Settings
from labmill.models.foreign import example
from labmill.pruning.derived_layers import derived_layers

WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class Part:
    """The rows or columns of one module that belong to a layer's units."""

    module: nn.Module
    inputs: bool  # whether `indices` are along the inputs of `module`, else its outputs
    indices: Tensor  # int64 (units, k)


@dataclass(frozen=True)
class Group:
    """The removable units of one layer: unit i is removed with all its parts."""

    layer: str
    parts: tuple[Part, ...]

    def __len__(self) -> int:
        return len(self.parts[0].indices)

    @property
    def outputs(self) -> list[Part]:
        """Return the layer, its norm, and layers that share its outputs in a sum."""
        return [part for part in self.parts if not part.inputs]


class Structure:
    """The removable units of a network, which is changed in place.

    `inputs`: example inputs; by default one image of the network's size.
    """

    def __init__(self, model: Any, inputs: tuple[Tensor, ...] = ()) -> None:
        self.model = model
        self.inputs = inputs
        self._trace()

    def _trace(self) -> None:
        # Importing it configures logging, which only pruning should do.
        from torch_pruning import DependencyGraph

        mode = self.model.training
        pruners = getattr(self.model, "pruners", dict)
        with torch.enable_grad(), all_trainable(self.model):
            self.graph = DependencyGraph().build_dependency(
                self.model.eval(),
                self.inputs or (example(self.model),),
                customized_pruners=pruners(),
                verbose=False,
            )
        self.model.train(mode)
        self._groups: dict[str, Group] = {}
        self.layers = [
            name
            for name in prunable_layers(self.model)
            if not self._cuts_a_grouped(name)
        ]

    def group(self, layer: str) -> Group:
        """Return the units of one layer."""
        if layer not in self.layers:
            raise LabmillError(
                f"layers to prune: found {layer!r}; {suggest(layer, self.layers)}"
            )
        if layer not in self._groups:
            self._groups[layer] = self._find(layer)
        return self._groups[layer]

    def widths(self) -> dict[str, int]:
        """Return the number of units left, by layer."""
        return {layer: len(self.group(layer)) for layer in self.layers}

    def remove(self, layer: str, units: Sequence[int]) -> None:
        """Remove units from the network, and renumber the rest."""
        group = self.group(layer)
        gone = sorted(set(units))
        if not gone:
            return
        if gone[0] < 0 or gone[-1] >= len(group) or len(gone) == len(group):
            raise LabmillError(
                f"{layer}: units {gone} cannot be removed; it has {len(group)}, "
                "and one must stay"
            )
        # The graph finds the others of a unit from its first index.
        first = group.parts[0].indices[gone, 0].tolist()
        trainable = {n: p.requires_grad for n, p in self.model.named_parameters()}
        self._items(layer, first).prune(record_history=False)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(trainable[name])
        self._trace()

    @contextmanager
    def silenced(self, layer: str, units: Sequence[int]) -> Iterator[None]:
        """Compute without these units inside a `with` block.

        Zeros replace the weights on them in the layers that read them.
        """
        saved = []
        with torch.no_grad():
            for part in (part for part in self.group(layer).parts if part.inputs):
                columns = part.indices[list(units)].flatten()
                weight: Any = part.module.weight
                saved.append((weight, columns, weight[:, columns].clone()))
                weight[:, columns] = 0
        try:
            yield
        finally:
            with torch.no_grad():
                for weight, columns, values in saved:
                    weight[:, columns] = values

    def _items(self, layer: str, indices: list[int]) -> Any:
        module = prunable_layers(self.model)[layer]
        prune = self.graph.get_pruner_of_module(module).prune_out_channels
        return self.graph.get_pruning_group(module, prune, indices)

    def _cuts_a_grouped(self, layer: str) -> bool:
        """Return True if a convolution in groups, not depthwise, would have to be cut.

        Its groups would need equal cuts, which single units do not give.
        """
        return any(
            isinstance(item.dep.target.module, nn.Conv2d)
            and 1 < item.dep.target.module.groups < item.dep.target.module.in_channels
            for item in self._items(layer, [0])
        )

    def _find(self, layer: str) -> Group:
        width = prunable_layers(self.model)[layer].weight.shape[0]
        single = len(self._items(layer, [0])[0].idxs) == 1
        if single:
            items = self._items(layer, list(range(width)))
            roots = [by_root(item.idxs, item.root_idxs, width) for item in items]
        if not single or any(rows is None for rows in roots):
            items, roots = self._one_by_one(layer, width)
        parts = []
        for item, rows in zip(items, roots, strict=True):
            module = item.dep.target.module
            inputs = not self.graph.is_out_channel_pruning_fn(item.dep.handler)
            # Reshapes and sums have no weights; the number of a gate's outputs stays.
            kept = not inputs and self.graph.get_out_channels(module) is None
            if not kept and any(True for _ in module.parameters(recurse=False)):
                parts.append(Part(module, inputs, torch.tensor(rows)))
        return Group(layer, tuple(parts))

    def _one_by_one(self, layer: str, width: int) -> tuple[Any, list[Any]]:
        """Find units of more than one output, as where outputs are split into branches."""
        units, seen = [], set()
        for index in range(width):
            if index not in seen:
                units.append(self._items(layer, [index]))
                seen.update(units[-1][0].idxs)
        rows = [[item.idxs for item in items] for items in units]
        return units[0], list(map(list, zip(*rows, strict=True)))


def by_root(indices: list[int], roots: list[int], width: int) -> list[list[int]] | None:
    """Group `indices` by their root output; None if the groups differ in size."""
    rows: list[list[int]] = [[] for _ in range(width)]
    for index, root in zip(indices, roots, strict=True):
        rows[root].append(index)
    return rows if rows[0] and len({len(row) for row in rows}) == 1 else None


def prunable_layers(model: Any) -> Settings:
    """Return the layers whose outputs may be removed, those of equal widths once."""
    if hasattr(model, "prunable"):
        return dict(model.prunable())
    return derived_layers(model)


@contextmanager
def all_trainable(model: nn.Module) -> Iterator[None]:
    """Make all parameters trainable inside a `with` block: autograd skips frozen ones."""
    frozen = [p for p in model.parameters() if not p.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
