"""Which units a step of a prune loop removes, and which layers the next one prunes."""

from dataclasses import dataclass, fields
from typing import Literal, Self

import torch

from labmill.core.errors import LabmillError, suggest
from labmill.core.trees import JsonObject
from labmill.pruning.criteria import Criterion
from labmill.pruning.structure import Structure

# Units to remove, by layer.
Removal = dict[str, list[int]]


@dataclass(frozen=True)
class Loop:
    """The settings of a prune loop that decide its steps.

    Attributes:
        drop: accuracy that may be lost from before a step to after its fine-tuning.
        macs: share of the unpruned network's operations at which the loop ends.
    """

    criterion: str
    scope: Literal["each", "global", "in_turn"]
    remove: float | int  # share of the units left, or their number
    drop: float | None
    macs: float | None

    @classmethod
    def from_settings(cls, settings: JsonObject) -> Self:
        """Take the loop from a prune job's settings."""
        return cls(**{f.name: settings[f.name] for f in fields(cls)})

    def number(self, left: int) -> int:
        """Return how many of `left` units a step removes: at least one, never all."""
        share = isinstance(self.remove, float)
        wanted = round(self.remove * left) if share else self.remove
        return min(max(1, int(wanted)), left - 1)

    def removal(
        self, structure: Structure, layers: list[str], criterion: Criterion
    ) -> Removal:
        """Return the units with the smallest scores; of equal ones, the first.

        `each`: of every layer; `global`: of all layers together; `in_turn`: of the
        first of `layers`.
        """
        if self.scope == "global":
            return self._removal_anywhere(structure, layers, criterion)
        chosen = layers if self.scope == "each" else layers[:1]
        found = {}
        for layer in chosen:
            scores = criterion(structure.group(layer))
            order = torch.argsort(scores, stable=True)
            found[layer] = sorted(order[: self.number(len(scores))].tolist())
        return {layer: units for layer, units in found.items() if units}

    def _removal_anywhere(
        self, structure: Structure, layers: list[str], criterion: Criterion
    ) -> Removal:
        scored = sorted(
            (score, position, unit)
            for position, layer in enumerate(layers)
            for unit, score in enumerate(criterion(structure.group(layer)).tolist())
        )
        left = {layer: len(structure.group(layer)) for layer in layers}
        wanted = self.number(len(scored))
        found: Removal = {}
        for _, position, unit in scored:
            layer = layers[position]
            if wanted and left[layer] > 1:
                found.setdefault(layer, []).append(unit)
                left[layer] -= 1
                wanted -= 1
        return {layer: sorted(units) for layer, units in found.items()}

    def layers_for_next_step(
        self,
        layers: list[str],
        structure: Structure,
        *,
        lost: float,
        macs: float,
        diverged: bool,
    ) -> list[str]:
        """Return the layers left to prune after a step; none when the loop ends.

        A layer of `in_turn` ends after the step that lost more than `drop`, or with one
        unit left; the next layer begins with the network of that step, as in the
        published loop. `lost` is accuracy before the step less that after fine-tuning,
        `macs` the share of the operations left.
        """
        left = [layer for layer in layers if len(structure.group(layer)) > 1]
        if diverged or (self.macs is not None and macs <= self.macs):
            return []
        # Accuracies are shares of whole images: rounding must not decide.
        if self.drop is not None and lost > self.drop + 1e-9:
            return left[left[:1] == layers[:1] :] if self.scope == "in_turn" else []
        return left


def layers_of(structure: Structure, wanted: list[str] | None) -> list[str]:
    """Return the layers that a loop may still prune, in order; None means all."""
    known = structure.layers
    for layer in wanted or ():
        if layer not in known:
            raise LabmillError(
                f"pruning.layers: found {layer!r}; {suggest(layer, known)}"
            )
    chosen = known if wanted is None else wanted
    return [layer for layer in chosen if len(structure.group(layer)) > 1]
