"""Published accuracies beside ours."""

from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import Results

CAPTION = (
    "Test accuracy: published (hollow) and ours (filled: mean over seeds with its 95 % "
    "interval)."
)
ALT = "Dot chart: published and own test accuracy of each variant."


def draw(results: Results) -> Figure | None:
    """A row per variant that has both."""
    theirs = (results.study["published"] or {"variants": {}})["variants"]
    rows = [
        (variant, figures["test_accuracy"], mean)
        for variant, figures in theirs.items()
        if "test_accuracy" in figures
        and (mean := results.mean(variant, "test_accuracy"))
        and variant in results.variants
    ]
    if not rows:
        return None
    drawn = style.figure(0.85 + 0.27 * len(rows))
    axes = drawn.subplots()
    for y, (_, published, mean) in enumerate(rows):
        ours = 100 * mean.estimate
        axes.plot([100 * published, ours], [y, y], lw=0.8, color=style.MUTED)
        if mean.low is not None:
            ends = [100 * mean.low, 100 * mean.high]
            axes.plot(ends, [y, y], lw=2.4, color=style.color(0))
        axes.plot(ours, y, "o", ms=6, color=style.color(0))
        axes.plot(
            100 * published,
            y,
            "D",
            ms=5.5,
            mfc=style.PAPER,
            mec=style.color(1),
            mew=1.5,
        )
    names = [style.shorten(results.label(variant), 34) for variant, *_ in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("Test accuracy (%)")
    axes.grid(axis="y", visible=False)
    styles = [
        {"color": style.color(1), "marker": "D", "mfc": style.PAPER, "ls": "none"},
        {"color": style.color(0), "marker": "o"},
    ]
    style.legend(drawn, ["published", "ours"], styles)
    return drawn
