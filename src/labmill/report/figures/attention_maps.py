"""What the networks look at in sample images, layer by layer and through all layers."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.examined import Examined, examined
from labmill.report.results import Results

CAPTION = (
    "Attention on validation images, mean over heads: of the class token, or of all "
    "patches where there is none. Roll-out follows it through all layers. Red: more than "
    "an even share, blue: less."
)
ALT = "Sample images, each followed by one heat map of attention per layer."
IMAGES = 3
LIMIT = 2  # the scale ends at four times, and a quarter of, an even share


def draw(results: Results) -> list[Figure] | None:
    """One figure per examined variant."""
    return [panels(found) for found in examined(results)] or None


def panels(found: Examined) -> Figure:
    """A row per image: the image, its layers' maps, the roll-out."""
    layers = found.seen(found.mean_maps)
    columns = [(f"Layer {n}", maps) for n, maps in enumerate(layers, 1)]
    columns.append(("Roll-out", found.rollout()))
    if "cross" in found.arrays:
        cross = found.arrays["cross"].astype(float).mean((2, 3))
        shape = (*cross.shape[:2], found.side, found.side)
        columns.append(("Decoder", cross.reshape(shape).mean(0)))
    pixels = found.arrays["pixels"][:IMAGES]
    drawn = style.figure(0.84 * len(pixels) + 0.4)
    grid = drawn.subplots(len(pixels), len(columns) + 1, squeeze=False)
    drawn.suptitle(style.shorten(found.label, 60), fontsize=9)
    for row, (image, axes) in enumerate(zip(pixels, grid, strict=True)):
        colours = image.transpose(1, 2, 0).squeeze()
        axes[0].imshow(colours, cmap="gray", interpolation="none")
        for column, (title, maps) in zip(axes[1:], columns, strict=True):
            times = np.log2(np.maximum(maps[row] * found.side**2, 2.0**-LIMIT))
            drawing = column.imshow(times, cmap="RdBu_r", vmin=-LIMIT, vmax=LIMIT)
            if row == 0:
                column.set_title(title, fontsize=8)
        for one in axes:
            one.set_xticks([])
            one.set_yticks([])
            one.grid(visible=False)
    bar = drawn.colorbar(drawing, ax=grid, shrink=0.8, aspect=25)
    bar.set_ticks([-2, -1, 0, 1, 2], labels=["¼", "½", "1", "2", "4"])
    bar.set_label("Times an even share")
    return drawn
