"""Records of the search for architecture edits: edits.json and confirmed.json."""

from labmill.core.records import Number, Provenance, Record, Settings


class Prediction(Record):
    """Predicted milliseconds of a training step, and shares of time saved.

    Attributes:
        parameters: of the edited network, as `macs`; missing for the unchanged one.
    """

    ms: float
    saving: float
    operations_saving: float  # share of the multiply-adds saved
    parameters: int | None = None
    macs: int | None = None


class Saving(Record):
    """Measured share of a step's time saved, with a 95 % interval over `n` pairs."""

    saving: float
    low: float
    high: float
    n: int
    before_ms: float | None = None
    after_ms: float | None = None


class Noise(Saving):
    """The unchanged network timed against itself; savings below `floor` do not count."""

    floor: float


class Edit(Record):
    """One architecture edit."""

    point: str
    settings: Settings
    kind: str
    words: str
    variant: str | None  # the study's variant that is this edit, if there is one
    changes: int  # lines changed
    predicted: Prediction
    measured: Saving | None  # None where it was not timed


class Agreement(Record):
    """How predicted savings agree with measured ones over `n` edits."""

    n: int
    predicted: float | None  # Pearson's r; None where it is not defined
    predicted_error: float  # mean absolute difference
    operations: float | None  # the same for counted operations
    operations_error: float


class EditRanking(Record):
    """edits.json: edits of one variant, the unchanged network first."""

    rule: str
    base: Settings
    settings: Settings
    ranking: list[Edit]
    step_ms: float
    noise: Noise
    correlation: Agreement
    provenance: Provenance


class TriedEdit(Edit):
    """An edit that was trained briefly."""

    measured: Saving | None
    seed: int
    status: str
    reached: bool | None
    validation_accuracy: float | None
    seconds: Number
    operations: Number
    parameters: Number
    undominated: bool  # no other trial is as quick and as accurate and better in one


class ConfirmedRanking(Record):
    """confirmed.json: the tried edits, those worth a full training first."""

    rule: str
    base: Settings
    settings: Settings
    unchanged: TriedEdit
    ranking: list[TriedEdit]
    provenance: Provenance
