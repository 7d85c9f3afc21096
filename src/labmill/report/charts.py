"""Interactive forms of the figures: Vega-Lite, built by Altair, colours of the palette.

Field names are ours and values are data, so nothing a user names becomes an expression.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from labmill.report import style
from labmill.report.results import Results

alt.data_transformers.disable_max_rows()
HEIGHT = 300
MARKS = 60  # epochs of one curve; more marks than pixels tell nothing


def finished(chart: Any) -> Any:
    """The look that all charts share; the page adds its own colours."""
    return chart.configure_view(strokeWidth=0).configure(
        background="transparent", font="system-ui, sans-serif"
    )


def colors(names: list[str], places: Sequence[int] | None = None) -> alt.Color:
    """One colour per name, in the figures' order, and a legend that filters.

    places: the names' places among all variants, where only some of them are shown.
    """
    places = places or range(len(names))
    scale = alt.Scale(domain=names, range=[style.color(i) for i in places])
    legend = alt.Legend(orient="top", title=None)
    return alt.Color("name:N", scale=scale, legend=legend)


def picked() -> alt.Parameter:
    """A choice of names made in the legend; none chosen shows all."""
    return alt.selection_point(
        name="picked", fields=["name"], bind="legend", toggle="true"
    )


def curves(
    results: Results,
    variants: dict[int, str],
    figure: str,
    title: str,
    *,
    percent: bool,
) -> Any:
    """Training and validation over the epochs, all seeds of variants, named by place."""
    names = [results.variants[variant] for variant in variants.values()]
    # A row per line: one per epoch would repeat its names, in megabytes for many runs.
    rows = [
        {
            "name": label,
            "seed": record["seed"],
            "part": "training" if part == "train" else part,
            **line(history, f"{part}_{figure}"),
        }
        for label, variant in zip(names, variants.values(), strict=True)
        for record in results.stages(variant)
        if len(history := results.history(record))
        for part in ("train", "validation")
    ]
    rows = [row for row in rows if row["epoch"]]
    chosen = picked()
    dashes = alt.Scale(domain=["training", "validation"], range=[[1, 0], [5, 3]])
    chart = (
        alt.Chart(alt.Data(values=rows), width="container", height=HEIGHT)
        .transform_flatten(["epoch", "value"])
        .mark_line(strokeWidth=1.4, point={"size": 14})
        .encode(
            x=alt.X("epoch:Q", title="Epoch", axis=alt.Axis(tickMinStep=1, grid=False)),
            y=alt.Y(
                "value:Q", title=title, axis=alt.Axis(format=".0%" if percent else "")
            ),
            color=colors(names, list(variants)),
            strokeDash=alt.StrokeDash(
                "part:N", scale=dashes, legend=alt.Legend(orient="top", title=None)
            ),
            detail="seed:N",
            opacity=alt.condition(chosen, alt.value(0.9), alt.value(0.07)),
            tooltip=[
                alt.Tooltip("name:N", title="Variant"),
                alt.Tooltip("seed:N", title="Seed"),
                alt.Tooltip("part:N", title="Images"),
                alt.Tooltip("epoch:Q", title="Epoch"),
                alt.Tooltip("value:Q", title=title, format=".1%" if percent else ".3f"),
            ],
        )
        .add_params(chosen)
    )
    return finished(chart)


def line(history: pd.DataFrame, column: str) -> dict[str, list[float]]:
    """Epochs and finite values; of a long training every n-th epoch and the last."""
    epochs = history["epoch"].tolist()
    step = -(-len(epochs) // MARKS)
    known = [
        (epoch, round(value, 5))
        for epoch, value in zip(epochs, map(number, history[column]), strict=True)
        if value is not None and (epoch % step == 0 or epoch in (epochs[0], epochs[-1]))
    ]
    return {"epoch": [e for e, _ in known], "value": [v for _, v in known]}


def by_class(results: Results) -> Any | None:
    """Class-wise accuracy, a bar per variant."""
    rows = [
        {"name": label, "class": name, "value": round(mean.estimate, 5)}
        for variant, label in results.variants.items()
        for name in results.classes
        if (mean := results.mean(variant, f"class_accuracy.{name}"))
    ]
    if not rows:
        return None
    chosen = picked()
    names = list(results.variants.values())
    chart = (
        alt.Chart(alt.Data(values=rows), width="container", height=HEIGHT)
        .mark_bar()
        .encode(
            x=alt.X(
                "class:N",
                title=None,
                sort=results.classes,
                axis=alt.Axis(labelAngle=-35),
            ),
            xOffset=alt.XOffset("name:N", sort=names),
            y=alt.Y("value:Q", title="Test accuracy", axis=alt.Axis(format=".0%")),
            color=colors(names),
            opacity=alt.condition(chosen, alt.value(1), alt.value(0.12)),
            tooltip=[
                alt.Tooltip("name:N", title="Variant"),
                alt.Tooltip("class:N", title="Class"),
                alt.Tooltip("value:Q", title="Test accuracy", format=".1%"),
            ],
        )
        .add_params(chosen)
    )
    return finished(chart)


def number(value: Any) -> float | None:
    """A finite number, or None."""
    try:
        value = float(value)
    except (TypeError, ValueError):
        return None
    return value if value == value and abs(value) != float("inf") else None


def cost(results: Results, costs: dict[str, str]) -> Any | None:
    """Accuracy against operations; hovering tells the other costs."""
    rows = []
    for variant, label in results.variants.items():
        accuracy = results.mean(variant, "test_accuracy")
        found = {c: m.estimate for c in costs if (m := results.mean(variant, c))}
        if accuracy and "macs" in found:
            rows.append({"name": label, "value": accuracy.estimate, **found})
    if len(rows) < 2:
        return None
    chosen = picked()
    known = [c for c in costs if any(c in row for row in rows)]
    axis = alt.Axis(format=".2~s", grid=False, labelBound=True)
    chart = (
        alt.Chart(alt.Data(values=rows), width="container", height=HEIGHT)
        .mark_point(filled=True, size=110)
        .encode(
            x=alt.X(
                "macs:Q",
                title="Multiply–adds per image",
                scale=alt.Scale(type="log", nice=False, padding=24),
                axis=axis,
            ),
            y=alt.Y(
                "value:Q",
                title="Test accuracy",
                scale=alt.Scale(zero=False, padding=12),
                axis=alt.Axis(format=".1%"),
            ),
            color=colors(list(results.variants.values())),
            opacity=alt.condition(chosen, alt.value(1), alt.value(0.12)),
            tooltip=[
                alt.Tooltip("name:N", title="Variant"),
                alt.Tooltip("value:Q", title="Test accuracy", format=".1%"),
                *(alt.Tooltip(f"{c}:Q", title=costs[c], format=".3~s") for c in known),
            ],
        )
        .add_params(chosen)
    )
    return finished(chart)
