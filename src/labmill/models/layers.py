"""Blocks that model families share, and the plain feed-forward network."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn

from labmill.models import description

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "none": nn.Identity,
}


class Classifier(nn.Module):
    """Features, then a linear `head`: what every convolutional family is.

    A family writes `forward_features` and `arguments`, and `prunable` or `pruners`
    where the general ones will not do.
    """

    head: nn.Linear
    image_size: int
    softmax_output = False

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to what the head reads (B, features)."""
        raise NotImplementedError

    def arguments(self) -> dict[str, object]:
        """Arguments with which `build` makes a net of this one's present shapes."""
        raise NotImplementedError

    def prunable(self) -> dict[str, nn.Module]:
        """Layers whose outputs may be removed, by name, from the input on.

        Layers that must keep equal widths, like those of one residual sum, stand here
        once; depthwise convolutions follow the layer before them.
        """
        return {
            name: layer
            for name, layer in self.named_modules()
            if type(layer) in (nn.Conv2d, nn.Linear)
            and layer is not self.head
            and not _is_depthwise(layer)
        }

    def pruners(self) -> dict[type[nn.Module], object]:
        """How torch-pruning is to cut layers of a kind that it does not know."""
        return {}

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, classes)."""
        logits = self.head(self.forward_features(x))
        return logits.softmax(dim=1) if self.softmax_output else logits

    def reset_head(self, num_classes: int) -> None:
        """A fresh head for other classes, on the old one's device and data type."""
        old = self.head.weight
        self.head = nn.Linear(old.shape[1], num_classes, device=old.device).to(
            old.dtype
        )


class FeedForward(Classifier):
    """The network that `layers` describes (see `labmill.models.description`).

    A convolution or linear layer with batch norm has no bias: the norm would cancel
    it. `batch_norm` is the default of convolutions, linear layers ask for it (`bn`).
    `softmax_output` returns probabilities in place of logits, for studies of what a
    loss does with them. LabmillError when the lines do not fit together.
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
        self.lines = description.parse(layers)
        shapes = description.shapes(
            self.lines, in_channels=in_channels, image_size=image_size
        )
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for line, before in zip(self.lines, shapes, strict=False):
            count = sum(name.startswith(line.operation) for name in blocks)
            blocks[f"{line.operation}{count + 1}"] = self._block(line, before[0])
        self.layers = nn.Sequential(blocks)
        self.head = nn.Linear(shapes[-1][0], num_classes)

    def _block(self, line: description.Layer, width_in: int) -> nn.Module:
        match line:
            case description.Convolution() | description.Linear():
                return self._weighted(line, width_in)
            case description.AveragePool():
                return nn.AvgPool2d(line.kernel, line.stride, line.padding)
            case description.MaxPool():
                return nn.MaxPool2d(line.kernel, line.stride, line.padding)
            case description.AdaptivePool():
                return nn.AdaptiveAvgPool2d(line.size)
            case description.Dropout():
                return nn.Dropout(line.probability)
            case description.Flatten():
                return nn.Flatten()
        raise AssertionError(line)

    def _weighted(self, line: description.Layer, width_in: int) -> nn.Sequential:
        convolves = isinstance(line, description.Convolution)
        norm = line.norm if line.norm is not None else self.batch_norm and convolves
        block = nn.Sequential()
        if convolves:
            separable = isinstance(line, description.Separable)
            geometry = {
                "kernel_size": line.kernel,
                "stride": line.stride,
                "padding": line.border,
            }
            if separable:
                block.depthwise = nn.Conv2d(
                    width_in, width_in, groups=width_in, bias=not norm, **geometry
                )
                geometry = {"kernel_size": 1}
            name = "pointwise" if separable else "convolution"
            block.add_module(
                name,
                nn.Conv2d(
                    width_in, line.width, groups=line.groups, bias=not norm, **geometry
                ),
            )
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
        return self.layers(x)

    def prunable(self) -> dict[str, nn.Module]:
        return {
            name: _last_weighted(block)
            for line, (name, block) in zip(
                self.lines, self.layers.named_children(), strict=True
            )
            if hasattr(line, "width")
        }

    def describe(self) -> list[str]:
        """The layers as they are now, with real widths."""
        return [
            description.text(
                replace(line, width=output_width(block))
                if hasattr(line, "width")
                else line
            )
            for line, block in zip(self.lines, self.layers, strict=True)
        ]

    def arguments(self) -> dict[str, object]:
        return {
            "num_classes": self.head.out_features,
            "image_size": self.image_size,
            "in_channels": self.in_channels,
            "layers": self.describe(),
            "activation": self.activation,
            "batch_norm": self.batch_norm,
            "softmax_output": self.softmax_output,
        }


def _is_depthwise(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.weight.shape[1] < layer.in_channels


def _last_weighted(block: nn.Module) -> nn.Conv2d | nn.Linear:
    *_, last = (m for m in block.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    return last


def output_width(block: nn.Module) -> int:
    """Output channels or features of the last weighted layer in `block`."""
    return _last_weighted(block).weight.shape[0]


def global_average(x: Tensor) -> Tensor:
    """Images (B, C, H, W) to their means (B, C)."""
    return torch.mean(x, dim=(2, 3))
