"""A small CNN for training in seconds, after airbench.

Jordan, 2024, arXiv:2404.00498. A 2×2 convolution that whitens patches, then groups of (convolution, max pool, norm,
GELU, convolution, norm, GELU); a global max pool and a scaled linear head without bias.
Convolutions start as identities where they can; norms learn a bias only.

Differs: written from the description; the whitening layer starts as a Haar transform
of the patch until `prepare` gets images.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labmill.models.network import Network, linear

CHANNELS_LAST = True

REQUIRES = {
    "image_size": (
        "image_size - (stem != 0) >= 2 ** (len(widths) // 2)",
        "is too small: each group of two convolutions halves the image",
    ),
    "widths": (
        "len(widths) % 2 == 0 and min(widths) >= 1",
        "must have two numbers from 1 per group",
    ),
    "stem": ("stem is None or stem >= 0", "must be at least 0"),
}


class Group(nn.Module):
    """(B, C, H, W) to (B, width, H/2, W/2)."""

    def __init__(self, width_in: int, hidden: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, hidden, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(hidden, momentum=0.4)
        self.conv2 = nn.Conv2d(hidden, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width, momentum=0.4)
        for conv, norm in (self.conv1, self.norm1), (self.conv2, self.norm2):
            nn.init.dirac_(conv.weight[: conv.in_channels].detach())
            norm.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        return F.gelu(self.norm2(self.conv2(x)))


class SpeedNet(Network):
    def __init__(
        self,
        *,
        num_classes: int,
        image_size: int,
        in_channels: int,
        stem: int,
        widths: list[int],
        scale: float,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.scale = scale
        self.whitening: nn.Conv2d | None = None
        if stem:
            self.whitening = nn.Conv2d(in_channels, stem, 2)
            self.whitening.weight.requires_grad_(False)
            set_directions(self.whitening, haar_basis(in_channels))
        inputs = [stem or in_channels, *widths[1::2]]
        self.groups = nn.Sequential(
            *map(Group, inputs, widths[::2], widths[1::2])  # stops at the shortest
        )
        self.head = nn.Linear(widths[-1], num_classes, bias=False)

    def prepare(self, images: Tensor) -> None:
        """Set the first layer from normalised training images (N, C, H, W).

        Its filters become the eigenvectors of the covariance of 2×2 patches, divided by
        the square roots of the eigenvalues. A few thousand images are enough.
        """
        if self.whitening is None:
            return
        patches = F.unfold(images.float(), 2).transpose(1, 2).flatten(0, 1)
        values, vectors = torch.linalg.eigh(patches.T.cov().double().cpu())
        scaled = vectors / (values + 5e-4).sqrt()
        shape = self.whitening.weight.shape[1:]
        set_directions(self.whitening, scaled.T.flip(0).reshape(-1, *shape).float())

    def forward_features(self, x: Tensor) -> Tensor:
        if self.whitening is not None:
            x = F.gelu(self.whitening(x))
        features: Tensor = self.groups(x).amax(dim=(2, 3)) * self.scale
        return features

    def arguments(self) -> dict[str, object]:
        groups = [group for group in self.groups if isinstance(group, Group)]
        convs = [conv for group in groups for conv in (group.conv1, group.conv2)]
        whitening = self.whitening
        return {
            "num_classes": linear(self.head).out_features,
            "image_size": self.image_size,
            "in_channels": (whitening or convs[0]).in_channels,
            "stem": whitening.out_channels if whitening is not None else 0,
            "widths": [conv.out_channels for conv in convs],
            "scale": self.scale,
        }


def set_directions(layer: nn.Conv2d, directions: Tensor) -> None:
    """Set the filters to (4·C, C, 2, 2) and their negatives, as many as there are."""
    with torch.no_grad():
        layer.weight.copy_(torch.cat([directions, -directions])[: layer.out_channels])


def haar_basis(channels: int) -> Tensor:
    """Return an orthonormal basis of 2×2 patches with `channels`: (4·C, C, 2, 2)."""
    pairs = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    basis = torch.einsum("ah,bw->abhw", pairs, pairs).reshape(4, 2, 2) / 2
    filters = torch.einsum("fhw,cd->fcdhw", basis, torch.eye(channels))
    return filters.reshape(4 * channels, channels, 2, 2)


def build(
    *,
    num_classes: int,
    image_size: int = 32,
    in_channels: int = 3,
    stem: int | None = None,
    widths: tuple[int, ...] = (64, 64, 256, 256, 256, 256),
    scale: float = 0.111,
) -> nn.Module:
    """Build whitening, groups of two convolutions, a scaled head.

    Args:
        num_classes: outputs of the head.
        image_size: as noted in the model's arguments; from 16 with three groups.
        in_channels: 1 for grey, 3 for colour.
        stem: filters of the whitening layer; 8 per channel where not given, 0 for none.
        widths: channels of both convolutions of each group.
        scale: factor on what the head reads.
    """
    return SpeedNet(
        num_classes=num_classes,
        image_size=image_size,
        in_channels=in_channels,
        stem=8 * in_channels if stem is None else stem,
        widths=list(widths),
        scale=scale,
    )
