"""VGG16 (Simonyan & Zisserman, 2015, arXiv:1409.1556), as torchvision defines it.

`vgg16_modified` leaves out the second convolution and shrinks the classifier from
4096 and 4096 to 4096 and 256 features, with less dropout.

Differs from torchvision: names of the parameters, which `weights` does not mind.
"""

import logging
from typing import Literal

import torch
from torch import Tensor, nn

from labmill.core.errors import LabmillError
from labmill.models.layers import FeedForward

CHANNELS_LAST = True
# Enough work a step for several threads.
HEAVY = True
CHECK = "labmill.models.layer_list:check"

REQUIRES = {
    "image_size": ("layers or image_size >= 32", "must be 32 or more for five pools"),
    "classifier": (
        "not classifier or (len(classifier) == 2 and min(classifier) >= 1)",
        "must have two widths from 1",
    ),
    "pooled": ("pooled >= 1", "must be at least 1"),
}

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
# Widths of the convolutions by block, of the classifier, and dropout per layer of it.
DESIGNS = {
    "vgg16": (BLOCKS, (4096, 4096), (0.5, 0.5)),
    "vgg16_modified": (((64,), *BLOCKS[1:]), (4096, 256), (0.2, 0.1)),
}

log = logging.getLogger(__name__)


def build(
    *,
    num_classes: int,
    image_size: int,
    in_channels: int = 3,
    design: Literal["vgg16", "vgg16_modified"] = "vgg16",
    pooled: int = 7,
    classifier: tuple[int, ...] | None = None,
    layers: list[str] | None = None,
    activation: Literal["relu", "tanh", "gelu", "silu", "sigmoid", "none"] = "relu",
    batch_norm: bool = False,
    softmax_output: bool = False,
    weights: str | None = None,
) -> nn.Module:
    """Build VGG16, or a list of layers that started from it.

    Args:
        num_classes: outputs of the head.
        image_size: height and width of the images, in pixels.
        in_channels: 1 for grey, 3 for colour.
        design: which convolutions, classifier and dropout.
        pooled: positions per side that the classifier reads (7 as for 224×224).
        classifier: features of the two hidden layers, the design's where not given.
        layers: the layers themselves, as `cnn` takes them; outweighs the above.
        activation: after every convolution and linear layer.
        batch_norm: after every convolution that says neither `bn` nor `nobn`.
        softmax_output: return probabilities in place of logits.
        weights: to start from: `imagenet` (torchvision's, which fetches them), or a
            file of a state dict (`.safetensors`, or torch's own format without code);
            layers of other shapes keep their drawn weights.
    """
    model = FeedForward(
        layers or _describe(design, pooled, classifier),
        num_classes=num_classes,
        image_size=image_size,
        in_channels=in_channels,
        activation=activation,
        batch_norm=batch_norm,
        softmax_output=softmax_output,
    )
    for module in model.modules():
        _initialise(module)
    if weights is not None:
        copy_matching(read_weights(weights), model)
    return model


def _describe(
    design: str, pooled: int, classifier: tuple[int, ...] | None
) -> list[str]:
    blocks, widths, dropouts = DESIGNS[design]
    lines = []
    for block in blocks:
        lines += [*(f"conv {width}" for width in block), "pool"]
    lines += [f"adaptive {pooled}", "flatten"]
    for width, dropout in zip(classifier or widths, dropouts, strict=True):
        lines += [f"linear {width}", f"dropout {dropout}"]
    return lines


def _initialise(layer: nn.Module) -> None:
    """Draw weights as torchvision does: without norms, sixteen layers need it."""
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, std=0.01)
    else:
        return
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def read_weights(source: str) -> dict[str, Tensor]:
    """Return a state dict from torchvision, or from a file that cannot run code.

    torchvision is needed for `imagenet` alone, so nothing requires it.
    """
    try:
        if source == "imagenet":
            from torchvision.models import VGG16_Weights

            return VGG16_Weights.IMAGENET1K_V1.get_state_dict(check_hash=True)
        if source.endswith(".safetensors"):
            from safetensors.torch import load_file

            return load_file(source)
        return torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:
        raise LabmillError(
            f"weights: {source}: {error}; allowed: a state dict (.safetensors or .pth), "
            "or imagenet, where torchvision is installed and can fetch it"
        ) from error


def copy_matching(source: dict[str, Tensor], model: nn.Module) -> list[str]:
    """Copy tensors in order, skipping those that `model` lacks; return what got none.

    Two nets that differ by a missing or resized layer have their other tensors in the
    same order: each tensor of `model` takes the next of its shape, and one without a
    match keeps its values. Names do not matter.
    """
    tensors = [(name, value) for name, value in source.items() if value.ndim]
    start, left = 0, []
    with torch.no_grad():
        for name, layer in model.named_modules():
            own = list(layer.state_dict().values()) if _is_leaf(layer) else []
            own = [value for value in own if value.ndim]
            for i in range(start, len(tensors) if own else start):
                given = [value for _, value in tensors[i : i + len(own)]]
                if [v.shape for v in given] == [v.shape for v in own]:
                    for mine, theirs in zip(own, given, strict=True):
                        mine.copy_(theirs)
                    start = i + len(own)
                    break
            else:
                left += [name] if own else []
    log.info("weights: not in the file, so drawn: %s", ", ".join(left) or "none")
    return left


def _is_leaf(layer: nn.Module) -> bool:
    return not any(layer.children())
