"""Loss every few batches and accuracies per epoch on one chart."""

from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.curves.epochs import METRICS, PARTS

CAPTION = (
    "Training loss every few batches (grey, left axis) and accuracies at the end of each "
    "epoch (right axis; training solid, validation dashed), first seed."
)
ALT = (
    "Line charts, one per variant: a jagged grey line of the loss falls from the left "
    "axis while training and validation accuracy rise on the right axis."
)
PANELS = 6
LOOKS: dict[str, style.Look] = {
    "train": {"color": style.color(0)},
    "validation": {"color": style.color(1), "ls": style.DASHED},
}


def draw(results: StudyResults) -> list[Figure]:
    """Draw a panel per variant whose loss was recorded, two a row."""
    found = [
        (run.label, batches, epochs)
        for variant in results.variants
        for run in results.stages(variant)[:1]
        if len(batches := run.rows("batches")) and len(epochs := run.rows())
    ]
    figures = []
    for start in range(0, len(found), PANELS):
        part = found[start : start + PANELS]
        drawn, panels = style.grid(len(part), columns=2, height=1.75)
        for axes, (label, batches, epochs) in zip(panels, part, strict=True):
            passes = batches["images"] * epochs["epoch"].max() / batches["images"].max()
            axes.plot(passes, batches["loss"], color=style.MUTED, lw=0.8)
            axes.set_ylim(bottom=0)
            axes.set_title(style.label(label, 40))
            style.epochs(axes)
            right = axes.twinx()
            right.spines["right"].set_visible(True)
            right.grid(visible=False)
            right.set_ylim(0, 100)
            for name, look in LOOKS.items():
                values = 100 * epochs.set_index("epoch")[f"{name}_accuracy"].dropna()
                mark = "o" if len(values) == 1 else None
                right.plot(values.index, values, marker=mark, lw=1.4, **look)
            style.guessing(right, results.guessing)
        drawn.supxlabel("Epoch")
        names = [f"{word} accuracy (%)" for word in PARTS.values()]
        looks = [{"color": style.MUTED, "lw": 0.9}, *LOOKS.values()]
        style.legend(drawn, [METRICS["loss"][0].lower(), *names], looks)
        figures.append(drawn)
    return figures
