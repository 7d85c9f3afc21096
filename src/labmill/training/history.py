"""Rows of history.csv and batches.csv from the losses of an epoch."""

from collections.abc import Sequence

import numpy as np

from labmill.training.records import BatchRow, EpochRow


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
) -> EpochRow:
    """Return the row of an epoch, not validated yet.

    `losses` has one per batch, as `correct` answers and `sizes` in images; `operations`
    are those of training on one image.
    """
    images = int(sizes.sum())
    return EpochRow(
        epoch=epoch,
        train_loss=float((losses.astype(np.float64) * sizes).sum() / images),
        train_accuracy=float(correct.sum() / (images * per_image)),
        validation_loss=None,
        validation_accuracy=None,
        learning_rate=rate,
        seconds=seconds,
        images_per_second=images / max(1e-9, seconds - before),
        operations=operations * images * epoch,
        peak_memory_mb=memory,
    )


def batch_rows(
    losses: np.ndarray,
    correct: np.ndarray,
    sizes: np.ndarray,
    *,
    epoch: int,
    per_image: int,
    every: int | None,
) -> list[BatchRow]:
    """Return the rows of every `every`th step, counted over the whole run.

    The arguments are those of `epoch_row`, but `epoch` is counted from 0.
    """
    if every is None:
        return []
    steps = np.arange(len(sizes))
    seen = sizes.cumsum() + epoch * sizes.sum()
    return [
        BatchRow(
            epoch=epoch + 1,
            step=int(step) + 1,
            images=int(seen[step]),
            loss=float(losses[step]),
            accuracy=float(correct[step] / (sizes[step] * per_image)),
        )
        for step in steps[(epoch * len(sizes) + steps + 1) % every == 0]
    ]


def typical_seconds(rows: Sequence[EpochRow]) -> float:
    """Return the median time of an epoch, times the epochs.

    Unlike the clock, it does not count what else ran on the machine for a while.
    """
    each = np.diff([0.0, *(row.seconds for row in rows)])
    return float(np.median(each)) * len(each) if len(each) else 0.0
