"""A trained network that takes images as they are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from labmill.api.predictions import table
from labmill.core.errors import LabmillError
from labmill.core.files import read_json
from labmill.data.augment import normaliser
from labmill.data.datasets.image_folder import pixels, read_file
from labmill.data.records import Card
from labmill.training import checkpoint


class TrainedNetwork(nn.Module):
    """Normalise images, then apply the network.

    Attributes:
        network: the trained module; it takes normalised images and returns logits.
        classes: names of the classes, in the order of the logits.
        image_size: height and width of the images that it takes.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        mean: Tensor,
        std: Tensor,
        image_size: int,
        classes: Sequence[str],
    ) -> None:
        """Wrap a network; `mean` and `std` are float32 (1, C, 1, 1)."""
        super().__init__()
        self.network, self.classes = network, list(classes)
        self.image_size = image_size
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    @classmethod
    def load(cls, folder: Path, card: Card, classes: Sequence[str]) -> "TrainedNetwork":
        """Load model.safetensors and model.json of a stage."""
        description = folder / "model.json"
        network = checkpoint.load(folder / "model.safetensors", description)
        record = read_json(description)
        settings = record["provenance"]["settings"]
        how = settings.get("run", settings).get("normalisation", "dataset")
        mean, std = normaliser(card, how)
        size = int(record["image_size"])
        made = cls(network, mean=mean, std=std, image_size=size, classes=classes)
        return made.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, classes) of images (N, C, H, W), floats in 0..1."""
        return self.network((images - self.mean) / self.std)

    @torch.inference_mode()
    def predict(
        self,
        images: np.ndarray | Tensor | str | Path | Sequence[str | Path],
        batch_size: int = 256,
    ) -> pd.DataFrame:
        """Return prediction, probability and logits of each image.

        Args:
            images: one path or several (PNG, JPEG; cut to a square and resized), or an
                array (N, C, H, W) or (N, H, W), uint8 or floats in 0..1.
            batch_size: images at once.
        """
        batch = self.tensor(images)
        device = self.mean.device
        parts = [self(part.to(device)).cpu() for part in batch.split(batch_size)]
        return table(torch.cat(parts).numpy(), self.classes)

    def tensor(
        self, images: np.ndarray | Tensor | str | Path | Sequence[str | Path]
    ) -> Tensor:
        """Return images as floats (N, C, H, W) in 0..1."""
        channels = self.mean.shape[1]
        if isinstance(images, str | Path):
            images = [images]
        if not isinstance(images, np.ndarray | Tensor):
            paths = [Path(one) for one in images]
            images = np.stack(
                [pixels(read_file(p), p, self.image_size, channels) for p in paths]
            )
        batch = torch.as_tensor(images)
        if batch.ndim == 3:
            batch = batch[:, None]
        expected = (channels, self.image_size, self.image_size)
        if batch.ndim != 4 or tuple(batch.shape[1:]) != expected:
            raise LabmillError(
                f"images: found an array of shape {tuple(batch.shape)}; expected "
                f"(N, {', '.join(map(str, expected))})"
            )
        return batch.float() / 255 if batch.dtype == torch.uint8 else batch.float()
