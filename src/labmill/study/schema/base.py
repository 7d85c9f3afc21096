"""Types that the sections of a study file share. Imports neither torch nor numpy."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)

# Names become folders and parts of file names, which have 255 bytes at most.
LONGEST_NAME = 60
# Snakemake refuses the value of a wildcard that ends in so many repetitions.
PERIODIC = re.compile(r"(.+?)\1{19}$")
# Whole numbers end here: what a job computes with them fits 64 bits.
LARGEST = 10**9
LARGEST_SEED = 2**63 - 1


def unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse a list with a repeated entry: a seed run twice is no second run."""
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"{value!r} is listed twice")
    return values


def usable_name(name: str) -> str:
    """Refuse a name that cannot be part of a path in results/."""
    if len(name) > LONGEST_NAME:
        raise ValueError(
            f"found {len(name)} characters; names have at most {LONGEST_NAME}"
        )
    if repeated := PERIODIC.search(name):
        raise ValueError(
            f"found {name!r}; {repeated[1]!r} is repeated 20 times, which Snakemake "
            "refuses in a path"
        )
    return name


Unique = AfterValidator(unique)

Name = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$"), AfterValidator(usable_name)
]
Names = Annotated[tuple[Name, ...], Field(min_length=1), Unique]
# Names in a level of a comparison: one variant may be compared with several others.
Members = Annotated[tuple[Name, ...], Field(min_length=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=LARGEST)]
Whole = Annotated[int, Field(ge=0, le=LARGEST)]
Positive = Annotated[float, Field(gt=0, le=LARGEST)]
NotNegative = Annotated[float, Field(ge=0, le=LARGEST)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1, max_length=1000), Unique]
Epoch = Annotated[str, StringConstraints(pattern=r"^[1-9]\d*$", max_length=9)]
Texts = Annotated[tuple[str, ...], Unique]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Criterion = Literal["squares", "l1", "batchnorm", "taylor", "random"]


class Section(BaseModel):
    """A part of the study file: frozen, and unknown keys are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False
    )


def form_of_seeds(value: Any) -> str:
    """Return the form of `seeds`, so that only that form's mistakes are named."""
    return "rounds" if isinstance(value, dict | SeedRounds) else "list"


class SeedRounds(Section):
    """Seeds until decided: rounds that add seeds where a question is undecided."""

    start: Annotated[int, Field(ge=3, le=1000)] = Field(
        3, description="Seeds of every variant before the first look at the results."
    )
    most: Annotated[int, Field(ge=3, le=1000)] = Field(
        12, description="Seeds of a variant at most."
    )
    until: Literal["decided"] = Field(
        "decided",
        description="After each round only variants of undecided questions (without "
        "`compare`: undecided pairs) get half as many seeds again.",
    )

    @model_validator(mode="after")
    def rising(self) -> "SeedRounds":
        """Refuse a mapping that leaves no seeds to add."""
        if self.most <= self.start:
            raise ValueError(
                f"found most {self.most}; expected more than start, {self.start}"
            )
        return self

    @property
    def looks(self) -> tuple[int, ...]:
        """The seeds of an undecided variant at each look at the results."""
        found = [self.start]
        while found[-1] < self.most:
            found.append(min(self.most, -(-3 * found[-1] // 2)))
        return tuple(found)


SeedsOrRounds = Annotated[
    Annotated[Seeds, Tag("list")] | Annotated[SeedRounds, Tag("rounds")],
    Discriminator(form_of_seeds),
]
