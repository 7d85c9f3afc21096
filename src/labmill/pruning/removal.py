"""Take channels and neurons out of a network, and all that depends on them.

What depends on what is found by torch-pruning's dependency graph (Fang et al., 2023,
arXiv:2301.12900): the next layer's inputs, batch norm, flatten, residual sums. This is
the only module that knows that library.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from labmill.errors import LabmillError, suggest

WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class Part:
    """The rows or columns of one module that a layer's units own.

    indices: int64 (units, k), along the outputs of `module`, or along its inputs.
    """

    module: nn.Module
    inputs: bool
    indices: Tensor


@dataclass(frozen=True)
class Group:
    """The removable units of one layer: all parts of unit i go when i goes."""

    layer: str
    parts: tuple[Part, ...]

    def __len__(self) -> int:
        return len(self.parts[0].indices)

    @property
    def outputs(self) -> list[Part]:
        """The layer itself, its norm, and layers that share its outputs in a sum."""
        return [part for part in self.parts if not part.inputs]

    @property
    def consumers(self) -> list[Part]:
        """The layers that read the units."""
        return [part for part in self.parts if part.inputs]


class Structure:
    """The removable units of a network, which is changed in place.

    inputs: example inputs of the network; by default one image of its own size.
    """

    def __init__(self, model: nn.Module, inputs: tuple[Tensor, ...] = ()) -> None:
        self.model = model
        self.inputs = inputs
        self._trace()

    def _trace(self) -> None:
        # Importing it configures logging; only who prunes pays for it.
        from torch_pruning import DependencyGraph

        mode = self.model.training
        with torch.enable_grad(), all_trainable(self.model):
            self.graph = DependencyGraph().build_dependency(
                self.model.eval(),
                self.inputs or (example(self.model),),
                customized_pruners=self.model.pruners(),
                verbose=False,
            )
        self.model.train(mode)
        self._groups: dict[str, Group] = {}
        self.layers = [
            name for name in self.model.prunable() if not self._cuts_a_grouped(name)
        ]

    def group(self, layer: str) -> Group:
        """The units of one layer. LabmillError for a layer that cannot be pruned."""
        if layer not in self.layers:
            raise LabmillError(
                f"layers to prune: found {layer!r}; {suggest(layer, self.layers)}"
            )
        if layer not in self._groups:
            self._groups[layer] = self._find(layer)
        return self._groups[layer]

    def widths(self) -> dict[str, int]:
        """Units left, by layer."""
        return {layer: len(self.group(layer)) for layer in self.layers}

    def remove(self, layer: str, units: Sequence[int]) -> None:
        """Take units out of the network; those left are numbered anew.

        LabmillError for units that do not exist, or when none would be left.
        """
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
        """As if units were removed, for a while: nothing reads them.

        The layers after them get zeros in place of the weights on these units, which
        computes what the network without them computes.
        """
        saved = []
        with torch.no_grad():
            for part in self.group(layer).consumers:
                columns = part.indices[list(units)].flatten()
                weight = part.module.weight
                saved.append((weight, columns, weight[:, columns].clone()))
                weight[:, columns] = 0
        try:
            yield
        finally:
            with torch.no_grad():
                for weight, columns, values in saved:
                    weight[:, columns] = values

    def _items(self, layer: str, indices: list[int]):
        module = self.model.prunable()[layer]
        prune = self.graph.get_pruner_of_module(module).prune_out_channels
        return self.graph.get_pruning_group(module, prune, indices)

    def _cuts_a_grouped(self, layer: str) -> bool:
        """Whether a convolution in groups, not depthwise, would have to be cut.

        Its groups would need equal cuts, which units of their own do not make.
        """
        return any(
            isinstance(item.dep.target.module, nn.Conv2d)
            and 1 < item.dep.target.module.groups < item.dep.target.module.in_channels
            for item in self._items(layer, [0])
        )

    def _find(self, layer: str) -> Group:
        width = self.model.prunable()[layer].weight.shape[0]
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
            # Reshapes and sums own nothing; a gate's outputs stay as many as they are.
            kept = not inputs and self.graph.get_out_channels(module) is None
            if not kept and any(True for _ in module.parameters(recurse=False)):
                parts.append(Part(module, inputs, torch.tensor(rows)))
        return Group(layer, tuple(parts))

    def _one_by_one(self, layer: str, width: int):
        """Units of more than one output, as where outputs are split into branches."""
        units, seen = [], set()
        for index in range(width):
            if index not in seen:
                units.append(self._items(layer, [index]))
                seen.update(units[-1][0].idxs)
        rows = [[item.idxs for item in items] for items in units]
        return units[0], list(map(list, zip(*rows, strict=True)))


def by_root(indices: list[int], roots: list[int], width: int) -> list[list[int]] | None:
    """`indices` by the root output that each follows from; None if not evenly."""
    rows: list[list[int]] = [[] for _ in range(width)]
    for index, root in zip(indices, roots, strict=True):
        rows[root].append(index)
    return rows if rows[0] and len({len(row) for row in rows}) == 1 else None


def example(model: nn.Module) -> Tensor:
    """One blank image of the size that the model was built for."""
    facts = model.arguments()
    size = facts["image_size"]
    like = next(model.parameters())
    return torch.zeros(
        1, facts["in_channels"], size, size, dtype=like.dtype, device=like.device
    )


@contextmanager
def all_trainable(model: nn.Module) -> Iterator[None]:
    """The graph is read off autograd, which passes by what does not learn."""
    frozen = [p for p in model.parameters() if not p.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
