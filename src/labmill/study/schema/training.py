"""The sections below `training`: optimizer, schedule, augmentation, stopping."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from labmill.study.schema.base import (
    Count,
    Fraction,
    NotNegative,
    Positive,
    Section,
    Share,
    Whole,
)


class Augmentation(Section):
    """Random changes of training images, drawn per (seed, epoch, image).

    Further keys are names under Augmentations below, or of your own: `mixup: {alpha: 0.2}`,
    `mixup: true` for its defaults, `mixup: false` to switch it off in a variant.
    """

    model_config = ConfigDict(extra="allow")

    crop: Whole = Field(
        0, description="Pad by that many pixels, then crop at a random position."
    )
    flip: bool | Literal["alternate"] = Field(
        False,
        description="Mirror left-right with probability 1/2; `alternate`: in every other "
        "epoch, at random in the first.",
    )
    brightness: Fraction = Field(0.0, description="Largest relative change.")
    contrast: Fraction = Field(0.0, description="Largest relative change.")
    rotate90: bool = Field(False, description="Rotate by 0, 90, 180 or 270 degrees.")
    cutout: Whole = Field(0, description="Side of a square set to black, in pixels.")

    @property
    def further(self) -> dict[str, Any]:
        """The other keys: names and what is said of each, checked with the study."""
        return self.model_extra or {}

    @property
    def registered(self) -> dict[str, Any]:
        """The arguments of each registered augmentation that is on."""
        found = self.further.items()
        return {k: {} if v is True else v for k, v in found if v not in (None, False)}


class Schedule(Section):
    """The learning rate over the run; `learning_rate` is its peak."""

    kind: Literal["constant", "cosine", "cosine_restarts", "step", "one_cycle"] = Field(
        "constant",
        description="`one_cycle`: linear up, linear down; `cosine`: down to `final`; "
        "`cosine_restarts`: again and again (Loshchilov and Hutter, 2017, "
        "arXiv:1608.03983).",
    )
    warmup_epochs: NotNegative = Field(
        0.0, description="Epochs of linear rise from 0 (`one_cycle`: of the rise)."
    )
    step_epochs: Count = Field(10, description="`step`: epochs between two falls.")
    gamma: Share = Field(0.1, description="`step`: factor of each fall.")
    restart_epochs: Count = Field(
        10, description="`cosine_restarts`: epochs of the first cycle."
    )
    restart_factor: Annotated[float, Field(ge=1, le=100)] = Field(
        1.0,
        description="`cosine_restarts`: length of a cycle over that of the one before.",
    )
    final: Fraction = Field(
        0.0,
        description="Rate at the end of `one_cycle` and of each cosine, as a share of "
        "the peak.",
    )


class Until(Section):
    """Train until a target is reached."""

    train_accuracy: Share = Field(
        description="Accuracy over an epoch's training images."
    )
    max_epochs: Count = Field(description="Stop after that many epochs in any case.")


class Patience(Section):
    """Stop when validation no longer improves."""

    patience: Count = Field(
        5, description="Epochs without an improvement before stopping."
    )
    tolerance: NotNegative = Field(
        0.0, description="Smaller improvements of the watched metric do not count."
    )


class Lookahead(Section):
    """Every few steps, weights return part of their way; the slow ones are the result."""

    every: Count = Field(5, description="Steps between two returns.")
    share: Share = Field(0.5, description="Share of the way that is kept.")


class Training(Section):
    """How a network is trained. `finetune` and variants change parts of it."""

    epochs: Whole = Field(10, description="Passes over the training images.")
    batch_size: Count = Field(
        32,
        description="Images per step; the last batch may be short, but one of a single "
        "image joins the batch before.",
    )
    accumulate: Count = Field(
        1,
        description="Compute each batch in that many parts, which needs less memory: the "
        "same gradients to rounding, but batch norm sees the parts. Steps are then not "
        "compiled on a CPU.",
    )
    optimizer: str = Field(
        "adam",
        description="`sgd`, `adam`, `adamw`, `muon` (Muon for matrices, AdamW for the "
        "rest), another class of `torch.optim` (Optimizers below), or one of your own. "
        "`sgd` has momentum 0.9 unless `momentum` says otherwise (PyTorch's default is "
        "0).",
    )
    optimizer_arguments: dict[str, Any] = Field(
        default_factory=dict,
        description="Options of an optimizer under Optimizers; another optimizer drops "
        "them.",
    )
    loss: str = Field(
        "cross_entropy",
        description="A name under Losses below, or of your own. Losses on validation "
        "and test images are always cross-entropy.",
    )
    loss_arguments: dict[str, Any] = Field(
        default_factory=dict,
        description="Options of the loss; another loss drops them.",
    )
    learning_rate: Positive = Field(1e-3, description="Peak learning rate.")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.9,
        description="Momentum of `sgd` and `muon`. Plain SGD, PyTorch's default, is "
        "`momentum: 0`.",
    )
    nesterov: bool = Field(False, description="Nesterov momentum, for `sgd`.")
    betas: tuple[Fraction, Fraction] = Field(
        (0.9, 0.999), description="Decay rates of `adam` and `adamw`."
    )
    weight_decay: NotNegative = Field(
        0.0, description="L2 for `sgd` and `adam`, decoupled for `adamw` and `muon`."
    )
    layer_decay: Fraction = Field(
        1.0,
        description="Learning rate of a layer, as a share of that of the next layer; the "
        "head has the full one. 0 trains the head only (feature extraction).",
    )
    schedule: Schedule = Field(
        default_factory=Schedule, description="Learning rate over time."
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0,
        description="Share of probability spread over all classes, for `cross_entropy`.",
    )
    gradient_clip: Positive | None = Field(None, description="Largest gradient norm.")
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Average the weights with that decay per step; the averages are the "
        "result.",
    )
    lookahead: Lookahead | None = Field(
        None, description="Follow slow weights (Zhang et al., 2019, arXiv:1907.08610)."
    )
    initialisation: Literal[
        "default",
        "xavier_uniform",
        "xavier_normal",
        "kaiming_uniform",
        "kaiming_normal",
    ] = Field(
        "default",
        description="Of matrices and kernels; other than `default` zeroes biases.",
    )
    augmentation: Augmentation | Literal["dataset"] = Field(
        default_factory=Augmentation,
        description="Random changes of training images; `dataset`: those that suit it.",
    )
    labels: Count | None = Field(
        None, description="Label budget: train on the first n of the split, balanced."
    )
    until: Until | None = Field(None, description="Stop at a target.")
    converged: Patience | None = Field(
        None,
        description="Stop when validation loss no longer falls; keep the last weights.",
    )
    early_stopping: Patience | None = Field(
        None,
        description="Stop when validation accuracy no longer rises; keep the best weights.",
    )
    log_batches: Count | None = Field(
        None, description="Also record the loss every n batches."
    )
    evaluate_every: Count = Field(1, description="Epochs between two validations.")
    precision: Literal["fp32", "bf16", "auto"] = Field(
        "auto",
        description="`auto`: bf16 where it is faster and loses no accuracy "
        "(docs/performance.md).",
    )
    compile: Literal["off", "step", "auto"] = Field(
        "auto",
        description="`step`: the whole step in one graph; `auto`: by size and length.",
    )
