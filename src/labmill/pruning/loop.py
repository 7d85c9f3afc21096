"""What a step of a prune loop removes, and whether the loop goes on; no files."""

from dataclasses import dataclass
from typing import Any

import torch

from labmill.errors import LabmillError, suggest
from labmill.pruning.criteria import Criterion
from labmill.pruning.removal import Structure

# Units to remove, by layer.
Removal = dict[str, list[int]]


@dataclass(frozen=True)
class Loop:
    """The settings of a prune loop that decide its steps.

    remove: share of the units left, or their number; drop: accuracy that may be lost
    from before a step to after its fine-tuning; macs: share of the dense network's
    operations at which the loop ends.
    """

    scope: str
    remove: float | int
    drop: float | None
    macs: float | None

    def number(self, left: int) -> int:
        """How many of `left` units a step removes: one at least, never all."""
        wanted = (
            round(self.remove * left) if isinstance(self.remove, float) else self.remove
        )
        return min(max(1, wanted), left - 1)

    def removal(
        self, structure: Structure, layers: list[str], criterion: Criterion
    ) -> Removal:
        """The units with the smallest scores; of equal ones, the first.

        `each`: of every layer; `global`: of all layers together; `in_turn`: of the
        first of `layers`.
        """
        if self.scope == "global":
            return self._anywhere(structure, layers, criterion)
        chosen = layers if self.scope == "each" else layers[:1]
        found = {}
        for layer in chosen:
            scores = criterion(structure.group(layer))
            order = torch.argsort(scores, stable=True)
            found[layer] = sorted(order[: self.number(len(scores))].tolist())
        return {layer: units for layer, units in found.items() if units}

    def _anywhere(
        self, structure: Structure, layers: list[str], criterion: Criterion
    ) -> Removal:
        scored = sorted(
            (score, place, unit)
            for place, layer in enumerate(layers)
            for unit, score in enumerate(criterion(structure.group(layer)).tolist())
        )
        left = {layer: len(structure.group(layer)) for layer in layers}
        wanted = self.number(len(scored))
        found: Removal = {}
        for _, place, unit in scored:
            layer = layers[place]
            if wanted and left[layer] > 1:
                found.setdefault(layer, []).append(unit)
                left[layer] -= 1
                wanted -= 1
        return {layer: sorted(units) for layer, units in found.items()}

    def goes_on_with(
        self,
        layers: list[str],
        structure: Structure,
        *,
        lost: float,
        macs: float,
        diverged: bool,
    ) -> list[str]:
        """The layers left to prune after a step; none when the loop ends.

        `lost` is the accuracy before the step less that after fine-tuning, `macs` the
        share of the operations left. A layer of `in_turn` ends after the step that
        lost more than `drop`, or with one unit left; the next layer goes on from the
        network as that step left it, as the published loop did.
        """
        left = [layer for layer in layers if len(structure.group(layer)) > 1]
        if diverged or (self.macs is not None and macs <= self.macs):
            return []
        # Accuracies are shares of whole images: rounding must not decide.
        if self.drop is not None and lost > self.drop + 1e-9:
            return left[left[:1] == layers[:1] :] if self.scope == "in_turn" else []
        return left


def layers_of(structure: Structure, wanted: list[str] | None) -> list[str]:
    """The layers that a loop may still prune, in order; None wants all.

    LabmillError for an unknown one.
    """
    known = structure.layers
    for layer in wanted or ():
        if layer not in known:
            raise LabmillError(
                f"pruning.layers: found {layer!r}; {suggest(layer, known)}"
            )
    chosen = known if wanted is None else wanted
    return [layer for layer in chosen if len(structure.group(layer)) > 1]


def loop_of(settings: dict[str, Any]) -> Loop:
    """The loop from a prune job's settings."""
    return Loop(**{key: settings[key] for key in ("scope", "remove", "drop", "macs")})
