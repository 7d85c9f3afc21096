"""Turn images into batches: gathered, augmented and normalised several at a time."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from labmill.data.arrays import gather
from labmill.data.augment import Augmentation
from labmill.stats.randomness import numpy_generator
from labmill.training.inputs import Normalisation
from labmill.training.tasks import Task

# Images are prepared ahead in pieces of about this many bytes as floats: few calls,
# yet still in the cache when the step reads them.
PIECE_BYTES = {"cpu": 2 << 20, "cuda": 256 << 20}


class Source:
    """A part of the images: resident on the device, or read from disk as needed.

    `resident`: None keeps the part on the device if it fills less than half of the free
    memory.
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
        self.positions = torch.from_numpy(indices).to(device)
        if resident is None:
            size = len(indices) * images[:1].nbytes
            resident = size < free_memory(device) / 2
        self.images = None
        if resident:
            self.images = torch.from_numpy(gather(images, indices)).to(device)

    def __len__(self) -> int:
        return len(self.indices)

    def pieces(
        self, order: np.ndarray, bounds: Sequence[int] | np.ndarray
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield images, labels and positions of `order`, cut at `bounds`."""
        cuts = [slice(*cut) for cut in pairwise(bounds)]
        if self.images is None:
            yield from self._read_ahead([order[cut] for cut in cuts])
            return
        rows = torch.from_numpy(order).to(self.device)
        for cut in cuts:
            row = rows[cut]
            yield self.images[row], self.labels[row], self.positions[row]

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
                yield images, self.labels[row], self.positions[row]

    def _read(self, part: np.ndarray) -> Tensor:
        images = torch.from_numpy(gather(self.pool, self.indices[part]))
        return images.pin_memory() if self.device.type == "cuda" else images


def free_memory(device: torch.device) -> int:
    """Return how many bytes a process can still allocate on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/meminfo has no line MemAvailable")


class Normaliser:
    """Turns uint8 images into floats (x / 255 - mean) / std in the network's layout."""

    def __init__(
        self, normalisation: Normalisation, device: torch.device, *, channels_last: bool
    ) -> None:
        mean, std = (torch.as_tensor(values).double() for values in normalisation)
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
        classes: int,
    ) -> None:
        self.source, self.task = source, task
        self.classes = classes
        self.augmentation, self.normaliser = augmentation, normaliser
        self.batch_size, self.seed = batch_size, seed
        self.bounds = batch_bounds(len(source), batch_size)
        self.steps = len(self.bounds) - 1
        image = source.pool[:1].size * 4 * task.per_image
        most = PIECE_BYTES[source.device.type] // (image * batch_size)
        self.per_piece = max(1, most)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs and targets of the steps from `first` on.

        Pieces begin at the same images for every `first`, so that a resumed epoch
        computes the same as a whole one.
        """
        step = first - first % self.per_piece
        starts = [*range(step, self.steps, self.per_piece), self.steps]
        sizes = (np.diff(self.bounds) * self.task.per_image).tolist()
        for images, labels in self._pieces(epoch, self.bounds[starts]):
            inputs, targets = self.task.examples(self.normaliser(images), labels)
            each = sizes[step : step + self.per_piece]
            batches = list(zip(inputs.split(each), targets.split(each), strict=True))
            yield from batches[max(0, first - step) :]
            step += self.per_piece

    def _pieces(
        self, epoch: int, bounds: np.ndarray
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images as they are trained on, and their labels.

        Of mixed images, each class's share in place of the label: float32 (n, classes).
        """
        count = len(self.source)
        order = numpy_generator(self.seed, "order", epoch).permutation(count)
        if not self.augmentation.active:
            pieces = self.source.pieces(order, bounds)
            yield from ((images, labels) for images, labels, _ in pieces)
            return
        rows = int(self.source.indices.max()) + 1
        table = self.augmentation.table(self.seed, epoch, rows).to(self.source.device)
        own = self._augmented(table, order, bounds)
        if not self.augmentation.mixes:
            yield from ((images, labels) for images, labels, _ in own)
            return
        partners = self.augmentation.partners(self.seed, epoch, count)
        others = self._augmented(table, partners[order], bounds)
        share_of = torch.eye(self.classes, device=self.source.device)
        pairs = zip(own, others, strict=True)
        for (images, labels, draws), (partner, other_labels, _) in pairs:
            mixed, share = self.augmentation.mix(images, draws, partner)
            yield mixed, share_of[other_labels].lerp(share_of[labels], share[:, None])

    def _augmented(
        self, table: Tensor, order: np.ndarray, bounds: np.ndarray
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield changed images, labels and rows of the table."""
        for images, labels, positions in self.source.pieces(order, bounds):
            draws = table[positions]
            yield self.augmentation(images, draws), labels, draws


def batch_bounds(images: int, batch_size: int) -> np.ndarray:
    """Return where the batches of an epoch begin, and the end of the last one.

    The last batch may be short. One that would have a single image, which batch norm
    cannot normalise, joins the batch before.
    """
    bounds = np.append(np.arange(0, images, batch_size), images)
    alone = batch_size > 1 and images > 1 and images % batch_size == 1
    return np.delete(bounds, -2) if alone else bounds
