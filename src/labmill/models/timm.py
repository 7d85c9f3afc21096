"""Networks of timm, by name: `timm/resnet18` or, with a tag, `timm/resnet18.a1_in1k`.

Which can be trained, measured and pruned: docs/networks.md.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from labmill.models.library import Weights, known_network, resized, weights_for

LIBRARY = "timm"
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
        network: its name in timm; `timm/resnet18` sets it.
        resize: side to which the network scales images, in pixels; None leaves them.
        pretrained: start from timm's weights; a job downloads them.
        sha256: of the file of weights, or how it begins; timm publishes none.
    """
    made = create(network, num_classes, in_channels, resize or image_size)
    return resized(made, resize)


def create(
    network: str, classes: int, channels: int, side: int, **more: Any
) -> nn.Module:
    """Call timm, with the images' size where a network is built for one."""
    import timm

    known_network("timm", network.partition(".")[0], timm.list_models())
    about: Any = timm.get_pretrained_cfg(network)
    sized = {"img_size": side} if about and about.fixed_input_size else {}
    options = {"num_classes": classes, "in_chans": channels, **sized, **more}
    made: nn.Module = timm.create_model(network, **options)
    return made


def weights(network: str) -> Weights:
    """Return where timm has the weights of a network."""
    import timm

    about: Any = timm.get_pretrained_cfg(network)
    known_network(
        "timm", network, timm.list_pretrained() if about is None else [network]
    )
    file = about.hf_hub_filename or "model.safetensors"
    return Weights(
        f"{about.hf_hub_id}/resolve/main/{file}",
        "https://huggingface.co/",
        licence=about.license,
    )


def fit_weights(
    made: Any, found: Mapping[str, Tensor], network: str
) -> dict[str, Tensor]:
    """Return weights for a network of this library as it was built: timm adapts them."""
    facts = made.built_with
    side = facts["resize"] or facts["image_size"]
    source = {"state_dict": {**found}, "custom_load": False}
    filled = create(
        network,
        facts["num_classes"],
        facts["in_channels"],
        side,
        pretrained=True,
        pretrained_cfg_overlay=source,
    )
    return weights_for(made, filled.state_dict())
