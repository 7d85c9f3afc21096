"""The sections `measure`, `examine`, `represent`, `formulate` and `lessons`."""

from typing import Annotated, Literal

from pydantic import Field

from labmill.study.schema.base import Count, Name, Names, Section, Unique


class Measure(Section):
    """What is measured of every network."""

    batches: Annotated[tuple[Count, ...], Field(min_length=1), Unique] = Field(
        (1, 32), description="Batch sizes for latency."
    )
    repeats: Count = Field(30, description="Timed calls per batch size.")
    profile: bool = Field(
        False, description="Also profile training steps, and show where the time goes."
    )
    convention: Literal["macs", "report3", "report5", "everything"] = Field(
        "macs",
        description="How operations are counted. `macs`: multiply-adds of products; "
        "`report3`: their multiplications and additions; `report5`: these and one per "
        "activated value; `everything`: every scalar operation.",
    )
    count_table: bool = Field(False, description="Show operations layer by layer.")


class Examine(Section):
    """Attention maps and linear probes for selected transformers."""

    variants: Names = Field(
        description="Variants with attention; the first seed's network."
    )
    images: Count = Field(
        6, description="Validation images whose attention maps are kept."
    )
    distance_images: Count = Field(
        500, description="Validation images for the attention distance."
    )
    probe_images: Count = Field(
        5000, description="Training images for a linear probe of each layer."
    )


class Represent(Section):
    """Features of selected networks: map, nearest neighbours, mixing weights."""

    variants: Names = Field(
        description="Variants and pretexts that read images; the first seed's network."
    )
    images: Count = Field(
        1000, description="Validation images whose features are kept, balanced."
    )
    queries: Count = Field(5, description="Images whose nearest neighbours are shown.")
    neighbours: Count = Field(7, description="Neighbours of each.")


class Formulate(Section):
    """Time convolutions and linear layers written as matrix products."""

    variants: Names = Field(description="Variants to time; the first seed's network.")
    images: Count = Field(
        10_000, description="Images of one timed pass; training images, repeated."
    )
    batch_size: Count = Field(32, description="Images at a time.")
    repeats: Count = Field(3, description="Timed passes of each kind, in turns.")


class Lessons(Section):
    """Demonstrations: learning curves of runs with one wrong setting each."""

    reference: Name = Field(description="The variant with the right settings.")
    variants: Names = Field(description="Variants with one wrong setting each.")
