"""The JSON files that describe data: card.json of a dataset, split.json of a study."""

from pydantic import Field

from labmill.core.records import Record, Settings


class OfficialParts(Record):
    """Images per part as the dataset's authors divided it; 0: no such part."""

    train: int
    validation: int = 0
    test: int = 0


class Card(Record):
    """card.json: provenance and statistics of a decoded dataset."""

    name: str
    arguments: Settings = Field(default_factory=dict)
    source: str
    licence: str | None = None
    # SHA-256 of shape and values of both arrays; of the array files; of the raw files.
    digest: str
    arrays: dict[str, str] = Field(default_factory=dict)
    digests: dict[str, str] = Field(default_factory=dict)
    classes: tuple[str, ...]
    image_size: int
    channels: int
    official: OfficialParts
    # Images per class in each official part.
    class_counts: dict[str, tuple[int, ...]]
    # Per channel, in 0..1, over the official training images.
    mean: tuple[float, ...]
    std: tuple[float, ...]
    vocabulary: int | None = None
    # Files that are no part of the pool, by the reason, such as an ending.
    left_out: dict[str, int] = Field(default_factory=dict)


class SplitSummary(Record):
    """split.json: classes kept, sizes and duplicates of a study's split."""

    dataset: str
    digest: str
    seed: int
    settings: Settings
    # The classes kept, in the order of their new labels, and their old labels.
    classes: tuple[str, ...]
    original_labels: tuple[int, ...]
    official_test: bool
    sizes: dict[str, int]
    counts: dict[str, tuple[int, ...]]
    # `test_in_train` …: images of one part that are also, bit for bit, in another.
    duplicates: dict[str, int]
