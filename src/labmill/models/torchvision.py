"""Networks of torchvision, by name: `torchvision/resnet18`.

Which can be trained, measured and pruned: docs/networks.md.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from labmill.models.library import (
    Weights,
    known_network,
    read_channels,
    resized,
    weights_for,
)

LIBRARY = "torchvision"
HEAVY = True
REQUIRES = {"resize": ("resize is None or 1 <= resize <= 1024", "is 1 to 1024 pixels")}


def build(
    *,
    num_classes: int,
    image_size: int,
    in_channels: int = 3,
    network: str,
    resize: int | None = None,
    pretrained: bool = False,
    sha256: str | None = None,
) -> nn.Module:
    """Build a network.

    Args:
        num_classes: number of logits.
        image_size: height and width of the images, in pixels.
        in_channels: 1 for grey, 3 for colour.
        network: its name in torchvision; `torchvision/resnet18` sets it.
        resize: side to which the network scales images, in pixels; None leaves them.
        pretrained: start from torchvision's default weights; a job downloads them.
        sha256: of the file of weights, or how it begins; by default as its name has it.
    """
    from torchvision import models

    known_network("torchvision", network, models.list_models(module=models))
    side, options = resize or image_size, dict[str, Any]()
    match network.split("_")[0]:
        case "vit":
            options = {"image_size": side}
        case "maxvit":
            options = {"input_size": (side, side)}
        case "googlenet" | "inception":
            # Its weights expect other means than those of the rest.
            colour = pretrained and in_channels == 3
            options = {"aux_logits": False, "init_weights": True}
            options |= {"transform_input": colour}
    made = models.get_model(network, weights=None, num_classes=num_classes, **options)
    read_channels(made, in_channels)
    return resized(made, resize)


def weights(network: str) -> Weights:
    """Return where torchvision has the default weights of a network."""
    from torchvision import models

    known_network("torchvision", network, models.list_models(module=models))
    found = models.get_model_weights(network).DEFAULT
    url, _, file = found.url.rpartition("/")
    return Weights(
        file,
        f"{url}/",
        # The name ends with how the digest begins: resnet18-f37072fd.pth.
        sha256=file.removesuffix(".pth").rpartition("-")[2],
        licence=found.meta.get("license", "BSD-3-Clause"),
    )


def fit_weights(
    made: Any, found: Mapping[str, Tensor], network: str
) -> dict[str, Tensor]:
    """Return weights for a network of this library as it was built."""
    inner = getattr(made, "network", made)
    if network.startswith("vit_"):
        from torchvision.models.vision_transformer import interpolate_embeddings

        found = interpolate_embeddings(inner.image_size, inner.patch_size, {**found})
    return weights_for(made, found)
