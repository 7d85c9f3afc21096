"""Sample images of each class."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import StudyResults

CAPTION = "Training images, drawn from each class."
ALT = "A grid of training images: one row per class, eight images in each."
EACH = 8


def draw(results: StudyResults) -> Figure | None:
    """Draw one row per class: the first images of the split."""
    if results.sequential:  # tokens as grey values: strips that nobody can read
        return None
    labels, train = results.parts["labels"], results.parts["train"]
    rows = [train[labels[train] == k][:EACH] for k in range(len(results.classes))]
    if not any(len(row) for row in rows):
        return None
    columns = 2 if len(rows) > 5 and style.narrow() == 1 else 1
    lines = -(-len(rows) // columns)
    drawn = style.figure(0.42 * lines + 0.1)
    panels = drawn.subplots(lines, columns, squeeze=False).T.ravel()
    for axes in panels:
        axes.axis("off")
    for name, row, axes in zip(results.classes, rows, panels, strict=False):
        strip = np.concatenate([framed(results.pool[i]) for i in row], axis=1)
        axes.imshow(strip, interpolation="none")
        axes.set_anchor("W")
        look: style.Look = {"transform": axes.transAxes, "ha": "right", "va": "center"}
        axes.text(-0.02, 0.5, style.label(name, 14), **look)
    return drawn


def framed(image: np.ndarray) -> np.ndarray:
    """uint8 (channels, height, width) as (height, width, 4), a clear gap at the right."""
    opaque = np.full((1, *image.shape[1:]), 255, np.uint8)
    pixels = np.concatenate([*[image] * (3 // len(image)), opaque]).transpose(1, 2, 0)
    return np.pad(pixels, [(0, 0), (0, max(1, pixels.shape[1] // 10)), (0, 0)])
