"""Loss every few batches and accuracies per epoch on one chart."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import Results

CAPTION = (
    "Training loss every few batches (grey, left axis) and accuracies at the end of each "
    "epoch (right axis; training solid, validation dashed), first seed. The test set is "
    "sealed while networks are trained."
)
ALT = (
    "Line charts, one per variant: a jagged grey line of the loss falls from the left "
    "axis while training and validation accuracy rise on the right axis."
)
DASHED = (0, (3, 1.5))
PANELS = 6


def draw(results: Results) -> list[Figure] | None:
    """A panel per variant whose loss was recorded, two a row."""
    found = []
    for variant in results.variants:
        for record in results.stages(variant)[:1]:
            batches, epochs = (
                results.history(record, "batches"),
                results.history(record),
            )
            if len(batches) and len(epochs):
                found.append((results.label(variant), batches, epochs))
    drawings = []
    for start in range(0, len(found), PANELS):
        part = found[start : start + PANELS]
        drawn, grid = style.grid(len(part), columns=2, height=1.75)
        for axes, (label, batches, epochs) in zip(grid, part, strict=True):
            panel(axes, batches, epochs)
            axes.set_title(style.shorten(label, 40))
        drawn.supxlabel("Epoch", fontsize=8.5)
        looks = [
            {"color": style.MUTED, "lw": 0.9},
            {"color": style.color(0)},
            {"color": style.color(1), "ls": DASHED},
        ]
        names = ["loss", "training accuracy (%)", "validation accuracy (%)"]
        style.legend(drawn, names, looks)
        drawings.append(drawn)
    return drawings or None


def panel(axes: Axes, batches: object, epochs: object) -> None:
    """One variant: two axes over the epochs."""
    passes = batches["images"] / (batches["images"].max() / epochs["epoch"].max())
    axes.plot(passes, batches["loss"], color=style.MUTED, lw=0.8)
    axes.set_ylim(bottom=0)
    axes.tick_params(labelbottom=True, labelleft=True)
    axes.xaxis.get_major_locator().set_params(integer=True)
    right = axes.twinx()
    right.spines["right"].set_visible(True)
    right.grid(visible=False)
    right.set_ylim(0, 100)
    mark = "o" if len(epochs) == 1 else None
    for name, color, dashes in (("train", 0, "-"), ("validation", 1, DASHED)):
        values = epochs.set_index("epoch")[f"{name}_accuracy"].dropna()
        right.plot(
            values.index,
            100 * values,
            color=style.color(color),
            ls=dashes,
            marker=mark,
            lw=1.4,
        )
