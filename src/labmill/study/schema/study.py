"""The study file as a whole."""

from pydantic import Field

from labmill.core.trees import Settings
from labmill.study.schema.analyses import (
    Examine,
    Formulate,
    Lessons,
    Measure,
    Represent,
)
from labmill.study.schema.base import (
    Name,
    Names,
    Section,
    SeedRounds,
    SeedsOrRounds,
    Share,
    Texts,
    Title,
)
from labmill.study.schema.data import Data
from labmill.study.schema.pruning import Influence, Pruning
from labmill.study.schema.report import Author, Comparison, Published, Report
from labmill.study.schema.search import Edits, Search
from labmill.study.schema.variants import Defaults, Pretext, Variant


class Study(Section):
    """One question, its variants, and the report that answers it."""

    title: Title = Field(description="Title of the report.")
    question: str = Field("", description="Markdown; numbers as in `report.text`.")
    author: Author = Field(
        default_factory=Author, description="Shown on the first page."
    )
    data: Data = Field(default_factory=Data, description="Images, classes, split.")
    defaults: Defaults = Field(
        default_factory=Defaults,
        description="Model and training that variants start from.",
    )
    seeds: SeedsOrRounds = Field(
        (0, 1, 2, 3, 4),
        description="One run per variant and seed. Three, the fewest with a verdict, show "
        "large differences only. `{start: 3, most: 12, until: decided}` adds seeds in "
        "rounds, and only to variants of undecided questions.",
    )
    variants: dict[Name, Variant] = Field(
        min_length=1,
        max_length=2000,
        description="What is compared: name → differences from `defaults`. Names are "
        "lower-case letters, digits and _, beginning with a letter. `matrix: "
        "{training.optimizer: [sgd, adam], training.learning_rate: [0.1, 0.01]}` makes a "
        "variant of each combination and a question of each setting.",
    )
    run: Names | None = Field(None, description="Only these variants; default: all.")
    pretexts: dict[Name, Pretext] = Field(
        default_factory=dict, description="Training without labels."
    )
    search: dict[Name, Search] = Field(
        default_factory=dict, description="Hyperparameter searches."
    )
    pruning: dict[Name, Pruning] = Field(
        default_factory=dict,
        description="Prune loops; the name is part of their folders' names.",
    )
    edits: Edits | None = Field(
        None, description="Search for small architecture edits."
    )
    measure: Measure = Field(
        default_factory=Measure, description="Cost of every network."
    )
    examine: Examine | None = Field(
        None, description="Attention maps and probes by depth."
    )
    represent: Represent | None = Field(
        None, description="Features in two dimensions, neighbours, mixing weights."
    )
    influence: Influence | None = Field(
        None, description="Measured against predicted influence of units."
    )
    formulate: Formulate | None = Field(
        None, description="Layers as plain matrix products, timed."
    )
    lessons: Lessons | None = Field(
        None, description="Learning curves with one wrong setting each."
    )
    compare: dict[Name, Comparison] = Field(
        default_factory=dict, description="Questions, answered by statistical tests."
    )
    margin: Share = Field(
        0.01,
        description="Smallest difference of an accuracy that matters, as a share of 1: "
        "0.01 is one percentage point. Smaller ones are practically equal.",
    )
    published: Published | None = Field(
        None, description="Metrics of an earlier report."
    )
    metrics: Texts = Field(
        (),
        description="Further metrics of the predictions, by name (see Metrics below) or "
        "of your own: `top5` gives `test_top5` and `validation_top5`.",
    )
    figures: Texts = Field((), description="Extra figures, by name.")
    report: Report = Field(default_factory=Report, description="The document.")
    laptop: Settings = Field(
        default_factory=dict, description="Changes for SCALE=laptop."
    )
    smoke: Settings = Field(
        default_factory=dict,
        description="Changes for SCALE=smoke, after the general ones.",
    )

    @property
    def rounds(self) -> SeedRounds | None:
        """The rounds that add seeds, where results decide how many."""
        return self.seeds if isinstance(self.seeds, SeedRounds) else None

    @property
    def every_seed(self) -> tuple[int, ...]:
        """The seeds that a variant may have."""
        if isinstance(self.seeds, SeedRounds):
            return tuple(range(self.seeds.most))
        return self.seeds
