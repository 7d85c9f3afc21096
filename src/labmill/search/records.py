"""Record of a search: chosen.json."""

from pydantic import Field

from labmill.core.records import Number, Provenance, Record, Settings


class Rule(Record):
    """How a search chooses its point."""

    rule: str
    tolerance: float
    cost: str


class Costs(Record):
    """Costs of a point's runs, one number per seed."""

    seconds: list[Number]
    operations: list[Number]
    parameters: list[Number]


class RankedPoint(Record):
    """One point of a search: means over its seeds.

    Attributes:
        validation_sd: standard deviation over seeds; None with fewer than two.
    """

    point: str
    settings: Settings  # dotted key → value
    validation_accuracy: float | None  # None where no seed was validated
    validation_sd: float | None
    seconds: Number
    operations: Number
    parameters: Number
    status: str  # of all its runs; "diverged" if one diverged
    reached: bool | None  # whether all seeds reached `until`; None without a target
    seeds: list[int]
    accuracies: list[float | None]  # one per seed
    costs: Costs


class SearchRound(Record):
    """The points that trained in one round, up to the epoch `end`."""

    end: int
    points: list[str]


class Proposals(Record):
    """round<n>.json: the rounds of a search so far, the last one still to train."""

    rounds: list[SearchRound]
    finished: bool  # whether no round follows
    spent: float  # of the budget, before the last round, in its unit
    provenance: Provenance


class SearchResult(Record):
    """chosen.json: the ranking of a search's points, the chosen one first."""

    rule: Rule
    base: Settings  # settings taken from an earlier search
    settings: Settings  # `base` with the chosen point's settings
    ranking: list[RankedPoint]  # after those trained in full: stopped, then diverged
    rounds: list[SearchRound] = Field(default_factory=list)  # of a search with a budget
    # Setting → the share of the variance that it explains.
    importance: dict[str, float] = Field(default_factory=dict)
    provenance: Provenance
