"""Each layer's speed against its arithmetic intensity, under the measured roof."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.profiles import explained
from labmill.report.results import Results

CAPTION = (
    "Roofline: speed of each layer's forward pass against its arithmetic intensity. The "
    "line is what the machine reached in the same job: memory traffic on the slope, "
    "arithmetic on the flat. A mark's area is the layer's share of the step."
)
ALT = "Log-log scatter of layers below a roof line, one panel per variant."
NAMED = 5


def draw(results: Results) -> Figure | None:
    """A panel per variant that is explained."""
    found = explained(results)
    if not found:
        return None
    drawn, panels = style.grid(len(found), columns=2, height=2.9)
    for axes, (variant, profile) in zip(panels, found.items(), strict=True):
        best, whole = profile["peak"], sum(profile["phases"].values())
        rows = [row for row in profile["layers"] if row["macs"] and row["gflops"]]
        reach = [row["intensity"] for row in rows]
        x = np.geomspace(min(reach) / 3, max(reach) * 3, 200)
        roof = np.minimum(best["gflops"], x * best["gbytes_per_s"])
        axes.plot(x, roof, color=style.MUTED)
        shares = [(row["forward_ms"] + row["backward_ms"]) / whole for row in rows]
        axes.scatter(
            reach,
            [row["gflops"] for row in rows],
            s=[12 + 500 * share for share in shares],
            color=style.color(0),
            alpha=0.6,
            lw=0,
        )
        largest = sorted(zip(shares, rows, strict=True), key=lambda p: -p[0])[:NAMED]
        # In a column at the right, in the order of the marks: layers of one kind lie
        # upon each other, and so would their names.
        column = sorted((row for _, row in largest), key=lambda row: row["gflops"])
        for number, row in enumerate(column):
            axes.annotate(
                row["name"].removeprefix("layers.").partition(".")[0],
                (row["intensity"], row["gflops"]),
                xytext=(1.02, 0.3 + 0.1 * number),
                textcoords="axes fraction",
                va="center",
                fontsize=8,
                arrowprops={"arrowstyle": "-", "color": style.MUTED, "lw": 0.5},
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(min(row["gflops"] for row in rows) / 6, max(roof) * 2)
        axes.tick_params(labelleft=True, labelbottom=True)
        axes.set_xlabel("Intensity (operations per byte)")
        axes.set_title(style.shorten(results.label(variant), 34))
    panels[0].set_ylabel("GFLOP/s")
    return drawn
