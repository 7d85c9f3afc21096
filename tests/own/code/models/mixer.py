"""MLP-Mixer (Tolstikhin et al., 2021, arXiv:2105.01601), as a user would write it."""

from torch import nn

from .blocks import Block


class Mixer(nn.Module):
    def __init__(
        self, num_classes, image_size, in_channels=3, patch: int = 4, dim: int = 16
    ):
        super().__init__()
        tokens = (image_size // patch) ** 2
        self.stem = nn.Conv2d(in_channels, dim, patch, patch)
        self.blocks = nn.Sequential(*(Block(tokens, dim) for _ in range(2)))
        self.norm = nn.LayerNorm(dim)
        self.classifier = nn.Linear(dim, num_classes)

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        return self.classifier(self.norm(self.blocks(x)).mean(1))
