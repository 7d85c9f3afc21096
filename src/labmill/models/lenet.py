"""LeNet-5 (LeCun et al., 1998), regular or with separable convolutions.

Convolutions 5×5 to 6, 16 and 120 channels with average pools between them, then 84
features. `separable` splits each convolution into a depthwise 5×5 and a pointwise 1×1
with nothing between.

Differs: images under 32×32 are padded to 32×32 inside the first convolution; full
connections from 6 to 16 channels; plain average pools; a linear head.
"""

from typing import Literal

from torch import nn

from labmill.models.layers import FeedForward

CHANNELS_LAST = True
CHECK = "labmill.models.layer_list:check"


def build(
    *,
    num_classes: int,
    image_size: int,
    in_channels: int = 1,
    separable: bool = False,
    layers: list[str] | None = None,
    activation: Literal["relu", "tanh", "gelu", "silu", "sigmoid", "none"] = "tanh",
    batch_norm: bool = False,
    softmax_output: bool = False,
) -> nn.Module:
    """Build LeNet-5.

    Args:
        num_classes: outputs of the head.
        image_size: height and width of the images, in pixels.
        in_channels: 1 for grey, 3 for colour.
        separable: depthwise 5×5 and pointwise 1×1 in place of every convolution.
        layers: other layers in place of LeNet's, as `cnn` takes them.
        activation: after every convolution and linear layer.
        batch_norm: after every convolution that says neither `bn` nor `nobn`.
        softmax_output: return probabilities in place of logits.
    """
    border = max(0, (32 - image_size + 1) // 2)
    conv = "separable" if separable else "conv"
    lenet = [
        f"{conv} 6 k5 p{border}",
        "avgpool",
        f"{conv} 16 k5 p0",
        "avgpool",
        f"{conv} 120 k5 p0",
        "flatten",
        "linear 84",
    ]
    return FeedForward(
        layers or lenet,
        num_classes=num_classes,
        image_size=image_size,
        in_channels=in_channels,
        activation=activation,
        batch_norm=batch_norm,
        softmax_output=softmax_output,
    )
