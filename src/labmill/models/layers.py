"""The plain feed-forward network that a list of layers describes."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

from torch import Tensor, nn

from labmill.models import layer_list
from labmill.models.network import Network, linear

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "none": nn.Identity,
}


class FeedForward(Network):
    """A network described by `layers` (see `labmill.models.layer_list`).

    A convolution or linear layer with batch norm has no bias: the norm would cancel
    it. `batch_norm` is the default of convolutions; linear layers need `bn`.
    `softmax_output` returns probabilities in place of logits, for studies of what a
    loss does with them.
    """

    def __init__(
        self,
        layers: Iterable[str],
        *,
        num_classes: int,
        image_size: int,
        in_channels: int,
        activation: str = "relu",
        batch_norm: bool = False,
        softmax_output: bool = False,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.in_channels = in_channels
        self.activation = activation
        self.batch_norm = batch_norm
        self.softmax_output = softmax_output
        self.lines = layer_list.parse(layers)
        shapes = layer_list.shapes(
            self.lines, in_channels=in_channels, image_size=image_size
        )
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for line, before in zip(self.lines, shapes, strict=False):
            count = sum(name.startswith(line.operation) for name in blocks)
            blocks[f"{line.operation}{count + 1}"] = self._block(line, before[0])
        self.layers = nn.Sequential(blocks)
        self.head = nn.Linear(shapes[-1][0], num_classes)

    def _block(self, line: layer_list.Layer, width_in: int) -> nn.Module:
        match line:
            case layer_list.Weighted():
                return self._weighted(line, width_in)
            case layer_list.AveragePool():
                return nn.AvgPool2d(line.kernel, line.stride, line.padding)
            case layer_list.MaxPool():
                return nn.MaxPool2d(line.kernel, line.stride, line.padding)
            case layer_list.AdaptivePool():
                return nn.AdaptiveAvgPool2d(line.size)
            case layer_list.Dropout():
                return nn.Dropout(line.probability)
            case layer_list.Flatten():
                return nn.Flatten()
        raise AssertionError(line)

    def _weighted(self, line: layer_list.Weighted, width_in: int) -> nn.Sequential:
        convolves = isinstance(line, layer_list.Convolution)
        norm = line.norm if line.norm is not None else self.batch_norm and convolves
        block = nn.Sequential()
        if isinstance(line, layer_list.Convolution):
            kernel, stride, padding = line.kernel, line.stride, line.border
            name = "convolution"
            if isinstance(line, layer_list.Separable):
                block.depthwise = nn.Conv2d(
                    width_in,
                    width_in,
                    kernel,
                    stride,
                    padding,
                    groups=width_in,
                    bias=not norm,
                )
                kernel, stride, padding = 1, 1, 0
                name = "pointwise"
            convolution = nn.Conv2d(
                width_in,
                line.width,
                kernel,
                stride,
                padding,
                groups=line.groups,
                bias=not norm,
            )
            block.add_module(name, convolution)
            if norm:
                block.norm = nn.BatchNorm2d(line.width)
        else:
            block.linear = nn.Linear(width_in, line.width, bias=not norm)
            if norm:
                block.norm = nn.BatchNorm1d(line.width)
        activation = line.activation or self.activation
        if activation != "none":
            block.activation = ACTIVATIONS[activation]()
        return block

    def forward_features(self, x: Tensor) -> Tensor:
        features: Tensor = self.layers(x)
        return features

    def prunable(self) -> dict[str, nn.Module]:
        return {
            name: _last_weighted(block)
            for line, (name, block) in zip(
                self.lines, self.layers.named_children(), strict=True
            )
            if isinstance(line, layer_list.Weighted)
        }

    def describe(self) -> list[str]:
        """Return the layers with their present widths."""
        return [
            layer_list.text(
                replace(line, width=output_width(block))
                if isinstance(line, layer_list.Weighted)
                else line
            )
            for line, block in zip(self.lines, self.layers, strict=True)
        ]

    def arguments(self) -> dict[str, object]:
        return {
            "num_classes": linear(self.head).out_features,
            "image_size": self.image_size,
            "in_channels": self.in_channels,
            "layers": self.describe(),
            "activation": self.activation,
            "batch_norm": self.batch_norm,
            "softmax_output": self.softmax_output,
        }


def _last_weighted(block: nn.Module) -> nn.Conv2d | nn.Linear:
    *_, last = (m for m in block.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    return last


def output_width(block: nn.Module) -> int:
    """Return the output channels or features of the last weighted layer in `block`."""
    return _last_weighted(block).weight.shape[0]
