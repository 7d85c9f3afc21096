"""Images to batches: gathered, augmented and normalised several batches at a time."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from labmill.data.arrays import gather
from labmill.data.augment import Augmentation
from labmill.randomness import numpy_generator
from labmill.training.tasks import Task

# Images are prepared ahead in pieces of about this many bytes as floats: few calls,
# yet still in the cache when the step reads them.
PIECE_BYTES = {"cpu": 2 << 20, "cuda": 256 << 20}


class Source:
    """A part of the images: resident on the device, or read from disk as needed.

    images: uint8 (N, C, H, W), perhaps memory-mapped; labels: int64 (N,); indices: the
    part's places in them. `resident` None: where they fill less than half of the
    device's free memory.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        indices: np.ndarray,
        device: torch.device,
        *,
        resident: bool | None = None,
    ) -> None:
        self.pool, self.indices, self.device = images, indices, device
        self.labels = torch.from_numpy(labels[indices]).to(device)
        self.places = torch.from_numpy(indices).to(device)
        if resident is None:
            size = len(indices) * images[:1].nbytes
            resident = size < free_memory(device) / 2
        self.images = None
        if resident:
            self.images = torch.from_numpy(gather(images, indices)).to(device)

    def __len__(self) -> int:
        return len(self.indices)

    def pieces(
        self, order: np.ndarray, size: int, first: int = 0
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Images, labels and places of `order`, `size` at a time, from piece `first`."""
        parts = [order[i : i + size] for i in range(first * size, len(order), size)]
        if self.images is None:
            yield from self._read_ahead(parts)
            return
        rows = torch.from_numpy(order).to(self.device)
        for start in range(first * size, len(order), size):
            row = rows[start : start + size]
            yield self.images[row], self.labels[row], self.places[row]

    def _read_ahead(
        self, parts: list[np.ndarray]
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        with ThreadPoolExecutor(1) as reader:
            queue = deque(reader.submit(self._read, part) for part in parts[:2])
            for number in range(len(parts)):
                images = queue.popleft().result()
                if number + 2 < len(parts):
                    queue.append(reader.submit(self._read, parts[number + 2]))
                row = torch.from_numpy(parts[number]).to(self.device)
                images = images.to(self.device, non_blocking=True)
                yield images, self.labels[row], self.places[row]

    def _read(self, part: np.ndarray) -> Tensor:
        images = torch.from_numpy(gather(self.pool, self.indices[part]))
        return images.pin_memory() if self.device.type == "cuda" else images


def free_memory(device: torch.device) -> int:
    """Bytes that a process may still take on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/meminfo has no line MemAvailable")


class Normaliser:
    """uint8 images to floats: (x / 255 - mean) / std, in the layout of the network."""

    def __init__(
        self, mean: Tensor, std: Tensor, device: torch.device, *, channels_last: bool
    ) -> None:
        mean, std = torch.as_tensor(mean).double(), torch.as_tensor(std).double()
        self.scale = (1 / (255 * std)).float().view(1, -1, 1, 1).to(device)
        self.shift = (-mean / std).float().view(1, -1, 1, 1).to(device)
        self.layout = torch.channels_last if channels_last else torch.contiguous_format

    def __call__(self, images: Tensor) -> Tensor:
        floats = images.to(torch.float32, memory_format=self.layout)
        return floats.mul_(self.scale).add_(self.shift)


class Batches:
    """The batches of each epoch, a function of (seed, epoch) alone."""

    def __init__(
        self,
        source: Source,
        task: Task,
        augmentation: Augmentation,
        normaliser: Normaliser,
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        self.source, self.task = source, task
        self.augmentation, self.normaliser = augmentation, normaliser
        self.batch_size, self.seed = batch_size, seed
        self.steps = -(-len(source) // batch_size)
        image = source.pool[:1].size * 4 * task.per_image
        most = PIECE_BYTES[source.device.type] // (image * batch_size)
        self.per_piece = max(1, most)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets of the steps from `first` on.

        Pieces begin at the same images whatever `first` is, so that a resumed epoch
        computes what the whole one does.
        """
        count = len(self.source)
        order = numpy_generator(self.seed, "order", epoch).permutation(count)
        table = None
        if self.augmentation.active:
            rows = int(self.source.indices.max()) + 1
            table = self.augmentation.table(self.seed, epoch, rows)
            table = table.to(self.source.device)
        number, skip = divmod(first, self.per_piece)
        size = self.batch_size * self.per_piece
        each = self.batch_size * self.task.per_image
        for images, labels, places in self.source.pieces(order, size, number):
            if table is not None:
                images = self.augmentation(images, table[places])
            inputs, targets = self.task.examples(self.normaliser(images), labels)
            batches = list(zip(inputs.split(each), targets.split(each), strict=True))
            yield from batches[skip:]
            skip = 0
