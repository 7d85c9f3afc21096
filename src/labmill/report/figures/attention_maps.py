"""What the networks look at in sample images, layer by layer and through all layers."""

from itertools import islice

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.examined import Examined, examined
from labmill.report.results import Results

CAPTION = (
    "Attention on validation images, mean over heads: of the class token, or of all "
    "patches where there is none. Roll-out follows it through all layers. Red: more than "
    "an even share, blue: less; the scale ends at what is reached here. The first "
    "variants of those examined."
)
ALT = "Sample images, each followed by one heat map of attention per layer."
VARIANTS, IMAGES = 4, 2
LEAST = 0.05  # half the scale's length at least, in powers of two


def draw(results: Results) -> list[Figure] | None:
    """One figure per variant, of the first examined ones."""
    return [panels(found) for found in islice(examined(results), VARIANTS)] or None


def panels(found: Examined) -> Figure:
    """A row per image: the image, its layers' maps, the roll-out."""
    layers = found.seen(found.mean_maps)
    columns = [(f"Layer {n}", maps) for n, maps in enumerate(layers, 1)]
    columns.append(("Roll-out", found.rollout()))
    if "cross" in found.arrays:
        cross = found.arrays["cross"].astype(float).mean((2, 3))
        shape = (*cross.shape[:2], found.side, found.side)
        columns.append(("Decoder", cross.reshape(shape).mean(0)))
    columns = [(title, log_times(maps[:IMAGES])) for title, maps in columns]
    limit = max(LEAST, *(np.nanmax(np.abs(maps)) for _, maps in columns))
    pixels = found.arrays["pixels"][:IMAGES]
    drawn = style.figure(0.84 * len(pixels) + 0.4)
    grid = drawn.subplots(len(pixels), len(columns) + 1, squeeze=False)
    drawn.suptitle(style.shorten(found.label, 60), fontsize=9)
    for row, (image, axes) in enumerate(zip(pixels, grid, strict=True)):
        colours = image.transpose(1, 2, 0).squeeze()
        axes[0].imshow(colours, cmap="gray", interpolation="none")
        for column, (title, maps) in zip(axes[1:], columns, strict=True):
            drawing = column.imshow(maps[row], cmap="RdBu_r", vmin=-limit, vmax=limit)
            if row == 0:
                column.set_title(title, fontsize=8)
        for one in axes:
            one.set_xticks([])
            one.set_yticks([])
            one.grid(visible=False)
    bar = drawn.colorbar(drawing, ax=grid, shrink=0.8, aspect=25)
    ticks = limit * np.array([-1, -0.5, 0, 0.5, 1])
    bar.set_ticks(ticks, labels=[f"{2**tick:.2g}" for tick in ticks])
    bar.set_label("Times an even share")
    return drawn


def log_times(shares: np.ndarray) -> np.ndarray:
    """Shares (images, side, side) in powers of two of an even one, 1/16 at least."""
    return np.log2(np.maximum(shares * shares[0].size, 1 / 16))
