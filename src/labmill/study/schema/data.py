"""The section `data` of a study file."""

from typing import Literal

from pydantic import Field

from labmill.core.trees import Settings
from labmill.study.schema.base import Count, Positive, Section, Seed, Seeds, Share


class MeanStd(Section):
    """Normalisation by given numbers, per channel, for pixels in 0..1."""

    mean: tuple[float, ...] = Field(description="Mean per channel.")
    std: tuple[Positive, ...] = Field(description="Standard deviation per channel.")


class Data(Section):
    """Images, classes and split."""

    dataset: str = Field("digits", description="A file in `labmill/data/datasets/`.")
    arguments: Settings = Field(
        default_factory=dict,
        description="Arguments of the dataset, such as `path` of an `image_folder`.",
    )
    classes: tuple[str | int, ...] | None = Field(
        None, description="Classes to keep, by name or index; relabelled in this order."
    )
    roll_number: str | None = Field(
        None,
        description="An odd last digit keeps the even classes, an even one the odd.",
    )
    validation: Share | Count = Field(
        0.1, description="Share of the training images, or images per class."
    )
    test: Share | Count = Field(
        0.2,
        description="Share or images per class, if the dataset has no official test part.",
    )
    unlabelled: Share | Count | None = Field(
        None,
        description="Training images whose labels are discarded: share, or number in total.",
    )
    limit: Count | None = Field(
        None, description="Largest number of training images, balanced over classes."
    )
    test_limit: Count | None = Field(
        None, description="Largest number of test images, balanced over classes."
    )
    split_seed: Seed = Field(
        0, description="Seed of the split; independent of the runs' seeds."
    )
    split_seeds: Seeds | None = Field(
        None,
        description="Its own split for every one of the study's `seeds`, in their "
        "order, in place of `split_seed`: intervals then include chance in the split.",
    )
    normalisation: Literal["dataset", "half", "none"] | MeanStd = Field(
        "dataset",
        description="`dataset`: its own mean and deviation; `half`: 0.5 and 0.5; or numbers.",
    )
