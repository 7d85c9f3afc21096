"""What networks of other libraries need: their images' size, channels and weights."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labmill.core.errors import LabmillError, suggest


@dataclass(frozen=True)
class Weights:
    """Where a library has the weights of a network."""

    file: str  # its name below `url`, and below a mirror's folder of the library
    url: str
    sha256: str = ""  # or how it begins; empty where the library does not publish it
    licence: str | None = None


class Resized(nn.Module):
    """A network whose images are scaled first."""

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self.network, self.size = network, size

    def forward(self, images: Tensor) -> Tensor:
        larger = F.interpolate(
            images,
            size=self.size,
            mode="bilinear",
            antialias=self.size < images.shape[-1],
        )
        logits: Tensor = self.network(larger)
        return logits


def resized(network: nn.Module, resize: int | None) -> nn.Module:
    """Return a network that scales its images, where that is wanted."""
    return network if resize is None else Resized(network, resize)


def known_network(library: str, network: str, names: Iterable[str]) -> None:
    """Check that a library has a network of that name."""
    if network not in (names := list(names)):
        raise LabmillError(
            f"{library} has no network {network!r}; {suggest(network, names)}"
        )


def fit_channels(kernel: Tensor, channels: int) -> Tensor:
    """Return a kernel for images of so many channels.

    Where all channels are equal, it computes the same as the kernel for colour.
    """
    grey = kernel.sum(1, keepdim=True) / channels
    return grey.expand(-1, channels, *kernel.shape[2:]).contiguous()


def read_channels(network: nn.Module, channels: int) -> None:
    """Let the first convolution of a network for colour read so many channels."""
    stem = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    if channels != stem.in_channels:
        stem.weight = nn.Parameter(fit_channels(stem.weight.detach(), channels))
        stem.in_channels = channels


def weights_for(network: Any, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights by the names of a network, its stem's for its channels.

    Those of its last layer may have another shape.
    """
    inner = network.network if isinstance(network, Resized) else network
    prefix = "" if inner is network else "network."
    made = {}
    for name, own in inner.state_dict().items():
        if name not in found:
            raise LabmillError(
                f"the weights lack {name!r}: they are of another network"
            )
        value = found[name]
        if own.ndim == 4 and value.ndim == 4 and own.shape[1] != value.shape[1] == 3:
            value = fit_channels(value, own.shape[1])
        made[prefix + name] = value
    return made


def to_plain(found: Any) -> dict[str, Tensor]:
    """Return the tensors of a file of weights, however deep it has them."""
    for key in ("state_dict", "model"):
        if isinstance(found.get(key), Mapping):
            found = found[key]
    return {
        name: value.contiguous()
        for name, value in found.items()
        if isinstance(value, torch.Tensor)
    }
