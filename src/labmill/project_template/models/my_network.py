"""My network: two convolutions. Edit it; only its variants are trained again."""

import torch
from torch import nn


class MyNetwork(nn.Module):
    """Images (B, C, H, W) to logits (B, classes)."""

    def __init__(
        self, num_classes: int, image_size: int, in_channels: int = 3, width: int = 32
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        features = self.body(images).mean((2, 3))
        logits: torch.Tensor = self.head(features)
        return logits
