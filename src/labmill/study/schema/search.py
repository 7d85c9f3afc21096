"""The sections `search` and `edits`: settings and architectures to find."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from labmill.core.trees import Settings
from labmill.study.schema.base import (
    Count,
    Fraction,
    Name,
    Names,
    Positive,
    Section,
    Seeds,
    Unique,
)


class Select(Section):
    """How a search chooses. Only validation metrics count."""

    rule: Literal["best", "fastest", "knee"] = Field(
        "best",
        description="`best`: highest validation accuracy; `fastest`: least cost within "
        "`tolerance` of the best; `knee`: of the Pareto front.",
    )
    tolerance: Fraction = Field(
        0.01, description="`fastest`: largest loss of accuracy."
    )
    cost: Literal["seconds", "operations", "parameters"] = Field(
        "operations", description="The cost for `fastest` and `knee`."
    )


class Budget(Section):
    """What a search may spend, in one unit."""

    runs: Count | None = Field(
        None, description="Full trainings, each point and seed counted."
    )
    operations: Annotated[float, Field(gt=0, le=1e24)] | None = Field(
        None,
        description="Multiply-adds of training, such as `1e12`; the last round may exceed "
        "it, as far as its points cost more than the mean.",
    )
    hours: Positive | None = Field(
        None,
        description="Hours of training; how far they reach depends on the machine.",
    )

    @model_validator(mode="before")
    @classmethod
    def one_unit(cls, found: Any) -> Any:
        """Refuse another unit, and two at once."""
        units = ", ".join(cls.model_fields)
        if not isinstance(found, dict):
            return found
        # Settings of a job have all units, null but for one.
        given = {key: size for key, size in found.items() if size is not None}
        if len(given) != 1 or not given.keys() <= cls.model_fields.keys():
            keys = ", ".join(map(str, given)) or "no unit"
            raise ValueError(f"found {keys}; a budget has one of: {units}")
        return found


class Search(Section):
    """A search over any settings of one variant."""

    variant: Name = Field(description="The variant whose settings are varied.")
    matrix: dict[str, Annotated[tuple[Any, ...], Field(min_length=1), Unique]] = Field(
        description="Setting (`model.dim`, `training.batch_size`) → values."
    )
    training: Settings = Field(
        default_factory=dict,
        description="Changes for the search alone, such as `until`.",
    )
    method: Literal["grid", "random", "tpe", "halving"] = Field(
        "grid",
        description="`grid`: every point; `random`: points drawn at random; `tpe`: points "
        "proposed from the results of earlier ones (Optuna); `halving`: random points, of "
        "which the best continue after each round.",
    )
    budget: Budget | None = Field(
        None, description="For every method but `grid`: one of its units."
    )
    at_once: Count = Field(
        2,
        description="`tpe`: points per round; more train in parallel, fewer learn from "
        "more.",
    )
    factor: Annotated[int, Field(ge=2, le=100)] = Field(
        2,
        description="`halving`: one point in so many continues, and trains so many times "
        "as long.",
    )
    seeds: Seeds = Field(
        (0,), description="Seeds of every point. The first also draws the points."
    )
    select: Select = Field(
        default_factory=Select, description="How the choice is made."
    )


class Edits(Section):
    """Search for the smallest architecture edit that makes a variant faster."""

    variants: Names = Field(description="Variants with a layer description.")
    tolerance: Fraction = Field(0.01, description="Largest loss of accuracy.")
    trials: Count = Field(4, description="Edits to train briefly.")
    epochs: Count = Field(2, description="Epochs of a brief training.")
    confirm: Count = Field(2, description="Edits to train in full, with all seeds.")
