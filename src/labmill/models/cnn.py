"""Plain convolutional networks: any list of layers, and four that have names.

`custom` is five convolutions with batch norm, three max pools and a classifier of
1024 and 256 features; `custom_modified` is the same without its first convolution;
`custom_four` has four convolutions and pools after the second, third and fourth.

Differs from the published nets: no bias where batch norm follows.
"""

from typing import Literal

from torch import nn

from labmill.models.layers import FeedForward

CHANNELS_LAST = True
CHECK = "labmill.models.layer_list:check"

REQUIRES = {
    "image_size": ("layers or image_size >= 8", "must be 8 or more for three pools"),
}

CLASSIFIER = ["flatten", "dropout 0.2", "linear 1024", "dropout 0.1", "linear 256"]
DESIGNS = {
    "small": ["conv 16", "pool", "conv 32", "pool", "flatten", "linear 64"],
    "custom": [
        *("conv 16 bn", "conv 32 bn", "pool", "conv 64 bn", "pool"),
        *("conv 128 bn", "pool", "conv 256 bn", *CLASSIFIER),
    ],
    "custom_modified": [
        *("conv 32 bn", "pool", "conv 64 bn", "pool"),
        *("conv 128 bn", "pool", "conv 256 bn", *CLASSIFIER),
    ],
    "custom_four": [
        *("conv 16 bn", "conv 32 bn", "pool", "conv 64 bn", "pool"),
        *("conv 128 bn", "pool", *CLASSIFIER),
    ],
}


def build(
    *,
    num_classes: int,
    image_size: int,
    in_channels: int = 3,
    design: Literal["small", "custom", "custom_modified", "custom_four"] = "small",
    layers: list[str] | None = None,
    activation: Literal["relu", "tanh", "gelu", "silu", "sigmoid", "none"] = "relu",
    batch_norm: bool = False,
    softmax_output: bool = False,
) -> nn.Module:
    """Build a feed-forward network.

    Args:
        num_classes: outputs of the head.
        image_size: height and width of the images, in pixels.
        in_channels: 1 for grey, 3 for colour.
        design: a named list of layers, used where `layers` is not given.
        layers: the layers as lines of words (`labmill.models.layer_list`).
        activation: after every layer that names none.
        batch_norm: after every convolution that says neither `bn` nor `nobn`.
        softmax_output: return probabilities, as some published nets do by mistake.
    """
    return FeedForward(
        layers or DESIGNS[design],
        num_classes=num_classes,
        image_size=image_size,
        in_channels=in_channels,
        activation=activation,
        batch_norm=batch_norm,
        softmax_output=softmax_output,
    )
