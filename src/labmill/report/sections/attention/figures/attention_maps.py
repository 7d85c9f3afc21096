"""What the networks look at in sample images, layer by layer and through all layers."""

from itertools import islice

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.attention.examined import Examined, examined

CAPTION = (
    "Attention on validation images, mean over heads: of the class token, or of all "
    "patches where there is none. Roll-out follows it through all layers. Red: more than "
    "an even share, blue: less; the scale ends at what is reached here. The first "
    "variants of those examined."
)
ALT = "Sample images, each followed by one heat map of attention per layer."
VARIANTS, IMAGES = 4, 2
LEAST = 0.05  # half the scale's length at least, in powers of two


def draw(results: StudyResults) -> list[Figure]:
    """Draw a figure per variant, of the first examined ones."""
    return [panels(found) for found in islice(examined(results), VARIANTS)]


def panels(found: Examined) -> Figure:
    """Draw a row per image: the image, its layers' maps, the roll-out."""
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
    # On a narrow screen a column per image.
    upright = style.narrow() < 1
    across = len(pixels) if upright else len(columns) + 1
    down = len(columns) + 1 if upright else len(pixels)
    drawn = style.figure((1.2 if upright else 0.84) * down + 0.6)
    grid = drawn.subplots(down, across, squeeze=False)
    drawn.suptitle(style.label(found.label, 40, lines=2), fontsize=9)
    for image, axes in zip(
        range(len(pixels)), grid.T if upright else grid, strict=True
    ):
        colours = pixels[image].transpose(1, 2, 0).squeeze()
        style.picture(axes[0], colours, cmap="gray")
        for column, (title, maps) in zip(axes[1:], columns, strict=True):
            look: style.Look = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
            shades = style.picture(column, maps[image], **look)
            if image == 0:
                column.set_title(title, fontsize=8)
    bar = drawn.colorbar(shades, ax=grid, shrink=0.8, aspect=25)
    ticks = limit * np.array([-1, -0.5, 0, 0.5, 1])
    bar.set_ticks(ticks, labels=[f"{2**tick:.2g}" for tick in ticks])
    bar.set_label("Times an even share")
    return drawn


def log_times(shares: np.ndarray) -> np.ndarray:
    """Return shares (images, side, side) in powers of two of an even one, 1/16 at least."""
    return np.log2(np.maximum(shares * shares[0].size, 1 / 16))
