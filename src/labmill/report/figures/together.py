"""Loss and accuracy over the epochs in two panels, all variants together."""

import pandas as pd
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import Results

CAPTION = (
    "Loss (left) and accuracy (right) over the epochs, means over the seeds still in "
    "training: training solid, validation dashed. The test set is sealed while networks "
    "are trained, so the dashed line is of validation images, not of test images."
)
ALT = (
    "Two line charts over the epochs: loss and accuracy, a colour per variant, training "
    "as solid and validation as dashed lines."
)
DASHED = (0, (3, 1.5))


def draw(results: Results) -> Figure | None:
    """None where no run has a history."""
    histories = {
        variant: [h for r in results.sound(variant) if len(h := results.history(r))]
        for variant in results.variants
    }
    histories = {variant: found for variant, found in histories.items() if found}
    if not histories:
        return None
    drawn = style.figure(2.9)
    panels = drawn.subplots(1, 2)
    for axes, figure, scale, name in zip(
        panels, ("loss", "accuracy"), (1, 100), ("Loss", "Accuracy (%)"), strict=True
    ):
        for i, found in enumerate(histories.values()):
            mean = pd.concat(found).groupby("epoch").mean(numeric_only=True)
            for part, dashes in (("train", "-"), ("validation", DASHED)):
                values = mean[f"{part}_{figure}"].dropna() * scale
                axes.plot(values.index, values, ls=dashes, lw=1.3, color=style.color(i))
        axes.set_xlabel("Epoch")
        axes.set_title(name)
        axes.xaxis.get_major_locator().set_params(integer=True)
    panels[0].set_yscale("log")
    labels = [style.shorten(results.label(variant), 26) for variant in histories]
    styles = [{"color": style.color(i)} for i in range(len(histories))]
    ends = [{"color": style.MUTED}, {"color": style.MUTED, "ls": DASHED}]
    style.legend(drawn, [*labels, "training", "validation"], [*styles, *ends])
    return drawn
