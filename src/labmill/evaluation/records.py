"""Record of an evaluation: metrics.json."""

from labmill.core.records import Provenance, Record


class PartScores(Record):
    """Metrics of one part of the split; fractions in 0..1.

    Attributes:
        class_accuracy: recall by class; None for a class without images.
        class_f1: None for a class that is neither label nor prediction.
    """

    n: int  # images
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    loss: float  # mean cross-entropy in nats
    calibration_error: float
    class_accuracy: dict[str, float | None]
    class_f1: dict[str, float | None]
    confusion: list[list[int]]  # counts, rows are labels, columns predictions


class Decoding(Record):
    """Share of sequences decoded exactly: of all `n`, and of each kind."""

    n: int
    exact: float
    copying: float | None
    reversal: float | None


class Parts(Record):
    """The parts that are evaluated."""

    validation: PartScores
    test: PartScores


class DecodedParts(Record):
    """Exact decoding of each part."""

    validation: Decoding
    test: Decoding


class Metrics(Record):
    """metrics.json: how well one network classifies.

    Attributes:
        decoding: sequences only: precision → shares decoded exactly.
    """

    classes: list[str]
    parts: Parts
    decoding: dict[str, DecodedParts] | None = None
    test_openings: int  # for how many networks this run's test part was opened
    provenance: Provenance
