"""Training images before and after the changes that training makes to them."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.figures.samples import framed
from labmill.report.results import Results

CAPTION = (
    "Training images as they are (top row) and as five epochs of training saw them."
)
ALT = "Rows of training images: the originals on top, augmented versions below."
COLUMNS, EPOCHS = 10, 5


def draw(results: Results) -> Figure | None:
    """The first variant that augments, its first seed."""
    settings, seed = augmented(results)
    if settings is None:
        return None
    # Only here does a report need torch: what is shown is what training does.
    import torch

    from labmill.data.augment import Augmentation

    index = np.sort(results.parts["train"][:COLUMNS])
    images = torch.from_numpy(np.asarray(results.pool[index]))
    changes = Augmentation(settings, images.shape[-1])
    count = int(results.parts["train"].max()) + 1
    rows = [images] + [
        changes(images, changes.table(seed, epoch, count)[index])
        for epoch in range(EPOCHS)
    ]
    strips = [
        np.concatenate([framed(image) for image in row.numpy()], axis=1) for row in rows
    ]
    drawn = style.figure(0.62 * len(strips))
    for i, (axes, strip) in enumerate(
        zip(drawn.subplots(len(strips), 1), strips, strict=True)
    ):
        axes.imshow(strip, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        name = "original" if i == 0 else f"epoch {i}"
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
    return drawn


def augmented(results: Results) -> tuple[dict | None, int]:
    """Augmentation settings of the first variant that has any, and a seed."""
    for variant in results.variants:
        for record in results.stages(variant):
            if description := results.open(record, "description"):
                recipe = description["provenance"]["settings"].get("training", {})
                settings = recipe.get("augmentation", {})
                if any(settings.values()):
                    return settings, record["seed"]
                break
    return None, 0
