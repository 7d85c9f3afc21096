"""The base class of networks: what the stages after training call, with defaults."""

import torch
from torch import Tensor, nn


class Network(nn.Module):
    """Features, then a `head`.

    A family writes `forward_features`. To be pruned it also writes `arguments`, which
    returns arguments of `build` for the present widths, and `prunable` or `pruners` where
    the defaults will not do. What stages need of a network that is no `Network` is
    derived (`labmill.models.foreign`).
    """

    head: nn.Module
    softmax_output = False
    # Arguments of `build`, defaults included; noted by `labmill.core.registry.build`.
    built_with: dict[str, object]

    def forward_features(self, x: Tensor) -> Tensor:
        """Return what the head reads, (B, features), of images (B, C, H, W)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) of images (B, C, H, W), or their softmax."""
        logits: Tensor = self.head(self.forward_features(x))
        return logits.softmax(dim=1) if self.softmax_output else logits

    def prunable(self) -> dict[str, nn.Module]:
        """Return layers whose outputs may be removed, by name, from the input on.

        Layers that must keep equal widths, like those of one residual sum, are named
        once; depthwise convolutions follow the layer before them.
        """
        return {
            name: layer
            for name, layer in self.named_modules()
            if type(layer) in (nn.Conv2d, nn.Linear)
            and layer is not self.head
            and not is_depthwise(layer)
        }

    def pruners(self) -> dict[type[nn.Module], object]:
        """Return how torch-pruning is to cut layers of a kind that it lacks."""
        return {}

    def reset_head(self, num_classes: int) -> None:
        """Replace the head by a new one for `num_classes`, of its device and type."""
        old = linear(self.head).weight
        head = nn.Linear(old.shape[1], num_classes, device=old.device)
        self.head = head.to(old.dtype)


class StochasticDepth(nn.Module):
    """Drop a residual branch of single images (Huang et al., 2016, arXiv:1603.09382)."""

    rate = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Return the branch, for training either zero or enlarged by 1 / (1 - rate)."""
        if not self.training or not self.rate:
            return x
        shape = (len(x), *[1] * (x.dim() - 1))
        kept = torch.rand(shape, device=x.device) >= self.rate
        return x * (kept / (1 - self.rate)).to(x.dtype)


def drop_paths(network: nn.Module, rate: float) -> None:
    """Set the rates of all residual branches, rising evenly with depth up to `rate`."""
    found = [m for m in network.modules() if isinstance(m, StochasticDepth)]
    for number, module in enumerate(found, start=1):
        module.rate = rate * number / len(found)


def linear(module: nn.Module) -> nn.Linear:
    """Return the module, a linear layer."""
    assert isinstance(module, nn.Linear)
    return module


def is_depthwise(layer: nn.Module) -> bool:
    """Return True for a convolution in groups."""
    return isinstance(layer, nn.Conv2d) and layer.weight.shape[1] < layer.in_channels


def global_average(x: Tensor) -> Tensor:
    """Return the means (B, C) of images (B, C, H, W)."""
    return torch.mean(x, dim=(2, 3))
