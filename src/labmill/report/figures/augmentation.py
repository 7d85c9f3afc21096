"""Training images before and after the changes that training makes to them."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.figures.samples import framed
from labmill.report.results import Results

CAPTION = "Training images as they are (top row) and as the first epochs of one run's training saw them."
ALT = "Rows of training images: the originals on top, augmented versions below."
COLUMNS, EPOCHS = 10, 5


def draw(results: Results) -> Figure | None:
    """The first variant that augments, its first seed."""
    found = augmented(results)
    if found is None:
        return None
    label, settings, seed, epochs = found
    # Only here does a report need torch: what is shown is what training does.
    import torch

    from labmill.data.augment import Augmentation

    index = np.sort(results.parts["train"][:COLUMNS])
    images = torch.from_numpy(np.asarray(results.pool[index]))
    changes = Augmentation(settings, images.shape[-1])
    count = int(results.parts["train"].max()) + 1
    rows = [images] + [
        changes(images, changes.table(seed, epoch, count)[index])
        for epoch in range(min(EPOCHS, epochs))
    ]
    strips = [
        np.concatenate([framed(image) for image in row.numpy()], axis=1) for row in rows
    ]
    drawn = style.figure(0.62 * len(strips))
    axes = drawn.subplots()
    # One picture: strips each in axes of their own lose their names' left ends.
    gap = [(0, images.shape[-1] // 6), (0, 0), (0, 0)]
    strips = [np.pad(strip, gap) for strip in strips]
    picture = np.concatenate(strips)
    axes.imshow(picture, interpolation="none")
    height = len(strips[0])
    names = ["original", *(f"epoch {i}" for i in range(1, len(strips)))]
    axes.set_yticks([height * (i + 0.5) for i in range(len(strips))], names)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_title(f"{style.shorten(label, 40)}, seed {seed}")
    return drawn


def augmented(results: Results) -> tuple[str, dict, int, int] | None:
    """Of the first variant that augments: label, settings, seed, epochs; or None."""
    for variant, label in results.variants.items():
        for record in results.stages(variant):
            if description := results.open(record, "description"):
                recipe = description["provenance"]["settings"].get("training", {})
                settings = recipe.get("augmentation", {})
                if any(settings.values()):
                    epochs = len(results.history(record))
                    return label, settings, record["seed"], epochs
                break
    return None
