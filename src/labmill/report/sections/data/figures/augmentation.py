"""Training images before and after the changes that training makes to them."""

import numpy as np
from matplotlib.figure import Figure

from labmill.core.trees import Settings
from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.runs import Run
from labmill.report.sections.data.figures.samples import framed
from labmill.training.records import ModelDescription

CAPTION = "Training images as they are (top row) and as the first epochs of one run's training saw them."
ALT = "Rows of training images: the originals on top, augmented versions below."
COLUMNS, EPOCHS = 10, 5


def draw(results: StudyResults) -> Figure | None:
    """Draw the first variant that augments, its first seed."""
    run = augmented(results)
    if run is None:
        return None
    # Only here does a report need torch: what is shown is what training does.
    import torch

    from labmill.data.augment import Augmentation

    columns = round(COLUMNS * (0.5 + style.narrow() / 2))
    training = training_of(run)
    part = results.parts["train"][: training.get("labels")]
    places = np.argsort(part[:columns])

    def images(index: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.asarray(results.pool[index]))

    originals = images(part[places])
    changes = Augmentation(augmentation(run), originals.shape[-1])
    shown = [originals]
    for epoch in range(min(EPOCHS, len(run.rows()))):
        table = changes.table(run.seed, epoch, int(part.max()) + 1)
        seen = changes(originals, table[part[places]])
        if changes.mixes:
            partners = part[changes.partners(run.seed, epoch, len(part))[places]]
            others = changes(images(partners), table[partners])
            seen, _ = changes.mix(seen, table[part[places]], others)
        shown.append(seen)
    # One picture: strips in separate axes lose their names' left ends.
    gap = [(0, originals.shape[-1] // 6), (0, 0), (0, 0)]
    strips = [
        np.pad(np.concatenate([framed(image) for image in row.numpy()], axis=1), gap)
        for row in shown
    ]
    drawn = style.figure(0.62 * len(strips))
    axes = drawn.subplots()
    style.picture(axes, np.concatenate(strips))
    names = ["original", *(f"epoch {i}" for i in range(1, len(strips)))]
    axes.set_yticks([len(strips[0]) * (i + 0.5) for i in range(len(strips))], names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(f"{style.label(run.label, 40)}, seed {run.seed}")
    return drawn


def augmented(results: StudyResults) -> Run | None:
    """Return the first run that augments, or None."""
    runs = (run for variant in results.variants for run in results.stages(variant)[:1])
    return next((run for run in runs if any(augmentation(run).values())), None)


def augmentation(run: Run) -> Settings:
    """Return the settings of a run's augmentation."""
    found: Settings = training_of(run).get("augmentation", {})
    return found


def training_of(run: Run) -> Settings:
    """Return the settings of a run's training."""
    description = run.read(ModelDescription)
    settings = description.provenance.settings if description else {}
    found: Settings = settings.get("training", {})
    return found
