"""What an epoch leaves behind: a row of figures, and those of some batches."""

from typing import Any

import numpy as np


def batch_sizes(images: int, batch_size: int) -> np.ndarray:
    """Images in each batch of an epoch; the last one may be short."""
    return np.diff(np.append(np.arange(0, images, batch_size), images))


def epoch_row(
    losses: np.ndarray,
    correct: np.ndarray,
    sizes: np.ndarray,
    *,
    epoch: int,
    per_image: int,
    rate: float,
    seconds: float,
    before: float,
    operations: int,
    memory: float,
) -> dict[str, Any]:
    """The row of history.csv of epoch number `epoch` (from 1), validation still empty.

    losses, correct, sizes: one entry per batch; per_image: examples made of one image;
    rate: of the last step; seconds: of training since the run began, `before` them those
    of the epochs before; operations: multiply-adds that training costs per image.
    """
    images = int(sizes.sum())
    return {
        "epoch": epoch,
        "train_loss": float((losses.astype(np.float64) * sizes).sum() / images),
        "train_accuracy": float(correct.sum() / (images * per_image)),
        "validation_loss": None,
        "validation_accuracy": None,
        "learning_rate": rate,
        "seconds": seconds,
        "images_per_second": images / max(1e-9, seconds - before),
        "operations": operations * images * epoch,
        "peak_memory_mb": memory,
    }


def batch_rows(
    losses: np.ndarray,
    correct: np.ndarray,
    sizes: np.ndarray,
    *,
    epoch: int,
    per_image: int,
    every: int | None,
) -> list[dict[str, Any]]:
    """Loss and accuracy every `every` steps, counted over the whole run; epoch from 0.

    The arguments are those of `epoch_row`.
    """
    if every is None:
        return []
    steps = np.arange(len(sizes))
    seen = sizes.cumsum() + epoch * sizes.sum()
    return [
        {
            "epoch": epoch + 1,
            "step": int(step) + 1,
            "images": int(seen[step]),
            "loss": float(losses[step]),
            "accuracy": float(correct[step] / (sizes[step] * per_image)),
        }
        for step in steps[(epoch * len(sizes) + steps + 1) % every == 0]
    ]
