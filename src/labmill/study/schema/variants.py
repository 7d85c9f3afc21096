"""The sections `defaults`, `variants` and `pretexts`: what is trained."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from labmill.core.trees import Settings
from labmill.study.schema.base import Count, Name, Section, Seeds, Whole
from labmill.study.schema.data import MeanStd
from labmill.study.schema.training import Training


def flat_model(value: Any) -> Any:
    """Accept `{name: vit, dim: 8}` and `{name: vit, arguments: {dim: 8}}`."""
    if isinstance(value, str):
        return {"name": value, "arguments": {}}
    if isinstance(value, dict) and "arguments" not in value:
        arguments = {key: item for key, item in value.items() if key != "name"}
        return {"name": value.get("name"), "arguments": arguments}
    return value


class Model(Section):
    """A network: a file in `labmill/models/` and arguments of its `build`.

    Written flat: `{name: vit, dim: 8, heads: 8}`.
    """

    name: str = Field(
        description="A file in `labmill/models/` or of your own, or "
        "`torchvision/resnet18`, `timm/resnet18` (docs/networks.md)."
    )
    arguments: Settings = Field(
        default_factory=dict, description="Every other key: arguments of `build`."
    )

    @model_validator(mode="before")
    @classmethod
    def with_network(cls, value: Any) -> Any:
        """Accept `torchvision/resnet18` for `{name: torchvision, network: resnet18}`."""
        match value:
            case {"name": str(name)} if "/" in name:
                library, _, network = name.partition("/")
                arguments = value.get("arguments", {})
                if isinstance(arguments, dict):  # else the field's own check tells
                    arguments = {**arguments, "network": network}
                value = {**value, "name": library, "arguments": arguments}
        return value


class Start(Section):
    """Weights to start from, instead of a random initialisation."""

    pretext: Name = Field(description="A name under `pretexts`.")
    freeze: bool = Field(False, description="Train the head only (a linear probe).")


class Choice(Section):
    """Settings that a search found."""

    search: Name = Field(description="A name under `search`.")
    rank: Count = Field(1, description="1: the selected point, 2: the next best …")


class Variant(Section):
    """A named difference from `defaults`: write only what differs."""

    label: str | None = Field(None, description="Name in the report; default: the key.")
    model: Settings = Field(
        default_factory=dict,
        description="Changes of `defaults.model`; another `name` drops its arguments.",
    )
    training: Settings = Field(
        default_factory=dict, description="Changes of `defaults.training`."
    )
    factors: dict[str, Any] = Field(
        default_factory=dict,
        description="Values by which a heat map of the report arranges the variant; a "
        "matrix sets them.",
    )
    seeds: Seeds | None = Field(None, description="Seeds of this variant alone.")
    start: Start | None = Field(None, description="Start from a pretext's weights.")
    chosen: Choice | None = Field(
        None,
        description="Start from the settings that a search chose, then apply the changes.",
    )
    test_flip: bool = Field(
        False,
        description="Average the logits of each image and its mirror in evaluation.",
    )
    test_shift: Whole = Field(
        0,
        description="In evaluation, half of the weight goes to the logits of the image "
        "moved by that many pixels to the top left and to the bottom right.",
    )


class Defaults(Section):
    """Settings of all variants, unless a variant changes them."""

    model: Annotated[Model, BeforeValidator(flat_model)] = Field(
        default_factory=lambda: Model(name="cnn"), description="The network."
    )
    training: Training = Field(default_factory=Training, description="The training.")


class Pretext(Section):
    """Training without labels (a pretext task); its weights can start variants."""

    task: Literal["rotation"] = Field(
        "rotation", description="`rotation`: tell 0, 90, 180 and 270 degrees apart."
    )
    images: Literal["unlabelled", "train"] = Field(
        "unlabelled", description="The part of the split to train on."
    )
    after: Whole = Field(
        0,
        description="Leave out the first n images of that part; of `train` those are the "
        "ones in the label budgets up to n.",
    )
    model: Settings = Field(
        default_factory=dict, description="Changes of `defaults.model`."
    )
    training: Settings = Field(
        default_factory=dict, description="Changes of `defaults.training`."
    )
    seeds: Seeds | None = Field(None, description="Default: the study's seeds.")


class Run(Section):
    """A variant with one seed, resolved: all that its training depends on."""

    variant: str
    seed: int
    task: Literal["classification", "rotation"] = "classification"
    images: Literal["train", "unlabelled"] = "train"
    after: int = 0
    model: Model
    training: Training
    normalisation: Literal["dataset", "half", "none"] | MeanStd = "dataset"
    start: Start | None = None
    rank: int | None = None
    fixed: tuple[str, ...] = ()
    test_flip: bool = False
    test_shift: int = 0
