"""Records of pruning: prune.json of one step, influence.json of a network's units."""

from typing import Literal

from labmill.core.records import Provenance, Record


class PruneRecord(Record):
    """prune.json: what one step of a prune loop removed, and what that cost.

    Attributes:
        before: validation accuracy before the step; `after_pruning` and `finetuned` later.
    """

    loop: str
    step: int
    criterion: str
    scope: Literal["each", "global", "in_turn"]
    layer: str | None  # the pruned layer; None where several were
    removed: dict[str, list[int]]  # layer → units, numbered as before the step
    units: dict[str, int]  # units left in each layer
    before: float
    after_pruning: float
    finetuned: float
    parameters: int
    macs: int  # multiply-adds of one image; `dense_macs` those of the unpruned network
    dense_macs: int
    next_layers: list[str]  # layers that the next step may prune, in order
    finished: bool  # True if the loop ends with this step
    provenance: Provenance


class RankCorrelation(Record):
    """Spearman's rho with each real influence; None where one side is constant."""

    accuracy_drop: float | None
    loss_rise: float | None


class LayerInfluence(Record):
    """Real and predicted influence of one layer's units, one number per unit.

    Attributes:
        accuracy_drop: validation accuracy lost without the unit; `loss_rise` likewise.
        rank_correlation: criterion → correlation of its scores with the real influence.
    """

    accuracy_drop: list[float]
    loss_rise: list[float]
    predicted: dict[str, list[float]]  # criterion → score
    rank_correlation: dict[str, RankCorrelation]


class Influence(Record):
    """influence.json: `accuracy` and `loss` of the whole network on validation images."""

    accuracy: float
    loss: float
    layers: dict[str, LayerInfluence]
    provenance: Provenance
