"""The sections `pruning` and `influence`."""

from typing import Annotated, Literal

from pydantic import Field

from labmill.core.trees import Settings
from labmill.study.schema.base import (
    Count,
    Criterion,
    Names,
    Section,
    Share,
    Texts,
    Unique,
)


class Pruning(Section):
    """A loop of prune → evaluate → fine-tune → evaluate; each step is a job."""

    variants: Names = Field(description="The variants to prune.")
    criterion: Criterion = Field(
        "squares",
        description="Predicted influence of a unit; the smallest is removed first.",
    )
    layers: Texts | None = Field(
        None, description="Layers to prune, in order; default: all prunable ones."
    )
    scope: Literal["each", "global", "in_turn"] = Field(
        "each",
        description="`each`: the same share of every layer; `global`: smallest anywhere; "
        "`in_turn`: one layer until `drop`, then the next.",
    )
    remove: Share | Count = Field(
        0.25, description="Per step: share of the remaining units, or their number."
    )
    steps: Annotated[int, Field(ge=1, le=1000)] = Field(
        3, description="Number of steps; with `drop` or `macs` the largest number."
    )
    drop: Share | None = Field(
        None,
        description="Stop a layer when validation accuracy, before pruning → after "
        "fine-tuning, fell by more.",
    )
    macs: Share | None = Field(
        None, description="Stop at that share of the unpruned network's operations."
    )
    finetune: Settings = Field(
        default_factory=lambda: {"epochs": 2},
        description="Changes of the variant's training.",
    )
    above: Share | None = Field(
        None,
        description="Choose the step of least operations whose validation accuracy is "
        "above that, and evaluate it on the test images too.",
    )
    controls: Annotated[tuple[Literal["scratch", "longer"], ...], Unique] = Field(
        (),
        description="`scratch`: train the last step's widths from scratch; `longer`: "
        "fine-tune the unpruned network as long as all steps.",
    )
    measured: Literal["last", "every"] = Field(
        "last", description="Steps whose latency is measured, for the first seed."
    )

    @property
    def open_ended(self) -> bool:
        """Whether accuracy or operations decide how many steps there are."""
        return self.drop is not None or self.macs is not None


class Influence(Section):
    """Remove every unit alone, measure the effect, and compare it with the criteria."""

    variants: Names = Field(description="Variants to try; the first seed's network.")
    layers: Texts | None = Field(
        None, description="Layers whose units are tried; default: all prunable ones."
    )
    criteria: Annotated[tuple[Criterion, ...], Unique] = Field(
        ("squares", "l1", "taylor", "random"),
        description="Criteria to compare with, as in `pruning`.",
    )
