"""Rows of figures against the numbers that they were made from."""

import numpy as np
import pytest

from labmill.training.data_loader import batch_bounds
from labmill.training.history import batch_rows, epoch_row, typical_seconds
from labmill.training.records import EpochRow


@pytest.mark.parametrize("per_image", [1, 4])
def test_batches_add_up_to_their_epoch(per_image):
    sizes = np.diff(batch_bounds(10, 4))
    losses, correct = np.array([3.0, 2.0, 1.0]), np.array([1, 2, 2]) * per_image
    rows = batch_rows(losses, correct, sizes, epoch=2, per_image=per_image, every=1)
    whole = epoch_row(
        losses,
        correct,
        sizes,
        epoch=3,
        per_image=per_image,
        rate=0.1,
        seconds=2.0,
        before=1.0,
        operations=5,
        memory=0.0,
    )
    assert [(row.epoch, row.step) for row in rows] == [(3, 1), (3, 2), (3, 3)]
    assert [row.images for row in rows] == [24, 28, 30]
    for name in ("loss", "accuracy"):
        mean = np.average([getattr(row, name) for row in rows], weights=sizes)
        assert mean == pytest.approx(getattr(whole, f"train_{name}"))
    few = batch_rows(losses, correct, sizes, epoch=1, per_image=per_image, every=2)
    assert [(row.step, row.accuracy) for row in few] == [(1, 0.25), (3, 1.0)]


def test_what_else_ran_during_an_epoch_does_not_count():
    row = EpochRow.model_construct
    quiet = [row(seconds=2.0 * n) for n in range(1, 6)]
    disturbed = [*quiet[:3], row(seconds=60.0), row(seconds=62.0)]
    assert typical_seconds(quiet) == typical_seconds(disturbed) == 10.0
    assert typical_seconds([]) == 0.0
