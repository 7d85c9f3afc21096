"""Loss over the batches, where the study records it."""

from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import Results

CAPTION = (
    "Training loss over the images seen, as recorded every few batches (first seed)."
)
ALT = "Line chart: training loss over the number of images seen, one line per variant."


def draw(results: Results) -> Figure | None:
    """One line per variant, its first seed."""
    lines = {}
    for variant, label in results.variants.items():
        for record in results.stages(variant)[:1]:
            steps = results.history(record, "batches")
            if len(steps) > 1:
                lines[label] = steps
    if not lines:
        return None
    drawn = style.figure(2.6)
    axes = drawn.subplots()
    styles = []
    for i, steps in enumerate(lines.values()):
        look = {"color": style.color(i), "ls": style.dash(i)}
        x = steps["images"] if "images" in steps else steps.iloc[:, 0]
        axes.plot(x, steps["loss"], lw=1.1, **look)
        styles.append(look)
    axes.set_xlabel("Training images seen")
    axes.set_ylabel("Loss")
    axes.set_ylim(bottom=0)
    style.legend(drawn, [style.shorten(label) for label in lines], styles)
    return drawn
