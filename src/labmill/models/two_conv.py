"""Two convolutions and a dense layer, every number an argument: for searches.

No pooling and no padding: with 28×28 images and 3×3 kernels the dense layer reads
24×24 positions.
"""

from typing import Literal

from torch import nn

from labmill.models.layer_list import Convolution
from labmill.models.layers import FeedForward, output_width
from labmill.models.network import linear

CHANNELS_LAST = True

REQUIRES = {
    "kernel1": ("1 <= kernel1 <= image_size", "must fit into the image"),
    "kernel2": (
        "kernel2 >= 1 and kernel1 + kernel2 - 2 < image_size",
        "must fit what kernel1 leaves",
    ),
    "filters1": ("filters1 >= 1", "must be at least 1"),
    "filters2": ("filters2 >= 1", "must be at least 1"),
    "dense": ("dense >= 1", "must be at least 1"),
}


class TwoConv(FeedForward):
    def arguments(self) -> dict[str, object]:
        first, second, _, dense = self.layers
        kernels = [w.kernel for w in self.lines if isinstance(w, Convolution)]
        return {
            "num_classes": linear(self.head).out_features,
            "image_size": self.image_size,
            "in_channels": self.in_channels,
            "kernel1": kernels[0],
            "kernel2": kernels[1],
            "filters1": output_width(first),
            "filters2": output_width(second),
            "dense": output_width(dense),
            "activation": self.activation,
        }


def build(
    *,
    num_classes: int,
    image_size: int,
    in_channels: int = 3,
    kernel1: int = 3,
    kernel2: int = 3,
    filters1: int = 16,
    filters2: int = 16,
    dense: int = 100,
    activation: Literal["relu", "tanh", "gelu", "silu", "sigmoid", "none"] = "relu",
) -> nn.Module:
    """Build convolution, convolution, dense layer, head.

    Args:
        num_classes: outputs of the head.
        image_size: height and width of the images, in pixels.
        in_channels: 1 for grey, 3 for colour.
        kernel1: kernel of the first convolution.
        kernel2: kernel of the second convolution.
        filters1: channels of the first convolution.
        filters2: channels of the second convolution.
        dense: neurons of the dense layer.
        activation: after both convolutions and the dense layer.
    """
    return TwoConv(
        [
            f"conv {filters1} k{kernel1} p0",
            f"conv {filters2} k{kernel2} p0",
            "flatten",
            f"linear {dense}",
        ],
        num_classes=num_classes,
        image_size=image_size,
        in_channels=in_channels,
        activation=activation,
    )
