"""Training without labels: loss and accuracy of the pretext task over its epochs."""

from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import Results

CAPTION = (
    "The pretext task over its epochs, one line per seed: training solid, held-out "
    "validation images dashed. Both are of turned images; no labels are looked at."
)
ALT = (
    "Two line charts over the epochs, loss and accuracy of the pretext task, training as "
    "solid and validation as dashed lines."
)
DASHED = (0, (3, 1.5))


def draw(results: Results) -> Figure | None:
    """Two panels, a colour per pretext."""
    found: dict[str, list] = {}
    for record in results.of_kind("pretext"):
        if len(history := results.history(record)):
            found.setdefault(record["label"], []).append(history)
    if not found:
        return None
    drawn = style.figure(2.6)
    panels = drawn.subplots(1, 2)
    for axes, figure, scale, name in zip(
        panels, ("loss", "accuracy"), (1, 100), ("Loss", "Accuracy (%)"), strict=True
    ):
        for i, histories in enumerate(found.values()):
            for history in histories:
                mark = "o" if len(history) == 1 else None
                for part, dashes in (("train", "-"), ("validation", DASHED)):
                    values = history.set_index("epoch")[f"{part}_{figure}"].dropna()
                    axes.plot(
                        values.index,
                        values * scale,
                        ls=dashes,
                        lw=1.2,
                        color=style.color(i),
                        alpha=0.85,
                        marker=mark,
                    )
        axes.set_xlabel("Epoch")
        axes.set_title(name)
        axes.set_ylim(bottom=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
    labels = [*(style.shorten(label, 34) for label in found), "training", "validation"]
    looks = [{"color": style.color(i)} for i in range(len(found))]
    ends = [{"color": style.MUTED}, {"color": style.MUTED, "ls": DASHED}]
    style.legend(drawn, labels, [*looks, *ends])
    return drawn
