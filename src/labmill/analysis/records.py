"""Records of the optional analyses: examine.json, represent.json, formulate.json."""

from labmill.core.records import Provenance, Record


class ProbedLayer(Record):
    """Validation accuracy of linear probes on one layer; layer 0 is the embedding."""

    layer: int
    patches: float | None  # of a probe on the mean over patches
    token: float | None  # of a probe on the class token; None where the layer has none


class Similarity(Record):
    """Mean cosine similarity of the positions of adjacent patches, and of all others."""

    neighbours: float
    others: float


class PositionSimilarity(Record):
    """Similarity of the network's own positions, and of a sinusoidal table."""

    own: Similarity
    sinusoidal: Similarity


class Examination(Record):
    """examine.json: what a transformer attends to, and what each layer knows."""

    attention_distance: list[list[float]]  # depth × heads, mean distance in pixels
    even_distance: float  # the distance if attention were spread evenly
    distance_images: int
    stride: int  # pixels between neighbouring patches
    probe: list[ProbedLayer]
    probe_images: int
    validation_images: int
    position_similarity: PositionSimilarity | None  # None where no positions are added
    provenance: Provenance


class Mixing(Record):
    """Weights of a mixing network: blocks × classes × branches."""

    mean: list[list[list[float | None]]]
    sd: list[list[list[float | None]]]


class Representation(Record):
    """represent.json: how a network groups validation images.

    Attributes:
        rotations: counts, classes × turned by × taken for; None for other tasks.
    """

    images: int
    neighbours: int  # nearest images that are compared
    explained: list[float]  # the first two principal components' shares of the variance
    agreement: float | None  # share of the nearest images of the same class
    mixing: Mixing | None  # None where the network mixes no branches
    rotations: list[list[list[int]]] | None
    provenance: Provenance


class Seconds(Record):
    """Median and quartiles of `n` passes."""

    median_s: float
    q1_s: float
    q3_s: float
    n: int


class Formulations(Record):
    """formulate.json: time of one pass, by formulation of the layers."""

    images: int
    batch: int
    threads: int
    device: str
    inference: dict[str, Seconds]
    training: dict[str, Seconds]
    largest_difference: dict[str, float]  # of a formulation's logits from the library's
    provenance: Provenance
