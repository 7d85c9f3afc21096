"""Interactive forms of a search's figures (see `charts`)."""

from collections.abc import Callable, Sequence
from typing import Any

import altair as alt

from labmill.report import style
from labmill.report.charts import HEIGHT, finished
from labmill.report.searched import heights, points_of, varied
from labmill.report.text import ordered, setting
from labmill.search.pareto import front
from labmill.search.select import missed

COSTS = {
    "operations": "Training operations",
    "seconds": "Seconds of training",
    "parameters": "Parameters",
}


def points(chosen: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """A search's points as rows with settings `p0`, `p1`, …, and the settings' names."""
    ranked = points_of(chosen)
    keys = varied(ranked)
    accuracies = [point["validation_accuracy"] for point in ranked]
    on = {c: front([point[c] for point in ranked], accuracies) for c in COSTS}
    rows = [
        {f"p{i}": setting(point["settings"][key]) for i, key in enumerate(keys)}
        | {
            "rank": rank,
            "value": round(point["validation_accuracy"], 5),
            "operations": point["operations"],
            "seconds": point["seconds"],
            "parameters": point["parameters"],
            "missed": missed(point),
        }
        | {f"front_{cost}": bool(found[rank - 1]) for cost, found in on.items()}
        for rank, point in enumerate(ranked, 1)
    ]
    return rows, [key.split(".", 1)[1].replace("_", " ") for key in keys]


def values_of(rows: list[dict[str, Any]], settings: int) -> list[str]:
    """The values of all settings in one order; else Vega would put 16 before 8."""
    return ordered({row[f"p{i}"] for row in rows for i in range(settings)})


def tips(names: list[str]) -> list[alt.Tooltip]:
    """What pointing at a search point tells."""
    return [
        alt.Tooltip("rank:Q", title="Rank"),
        *(alt.Tooltip(f"p{i}:N", title=name) for i, name in enumerate(names)),
        alt.Tooltip("value:Q", title="Validation accuracy", format=".2%"),
        alt.Tooltip("seconds:Q", title="Seconds", format=".3~r"),
        alt.Tooltip("operations:Q", title="Training operations", format=".3~s"),
        alt.Tooltip("parameters:Q", title="Parameters", format=","),
    ]


def scatter(chosen: dict[str, Any]) -> Any:
    """Accuracy against training operations, coloured by the hyperparameter of a menu."""
    rows, names = points(chosen)
    by = hyperparameter(names, "Colour by ")
    picked = alt.selection_point(
        name="picked", fields=["group"], bind="legend", toggle="true"
    )
    cost, x = against(COSTS)
    chart = (
        alt.Chart(alt.Data(values=rows), width="container", height=HEIGHT)
        .transform_calculate(group="datum[by]", x="datum[cost]")
        .mark_point(filled=True, size=70)
        .encode(
            x=x,
            y=accuracy(),
            color=alt.Color(
                "group:N",
                scale=alt.Scale(range=list(style.PALETTE)),
                legend=alt.Legend(orient="top", title=None),
                sort=values_of(rows, len(names)),
            ),
            shape=hollow(),
            opacity=alt.condition(picked, alt.value(0.9), alt.value(0.1)),
            tooltip=tips(names),
        )
        .add_params(by, cost, picked)
    )
    return finished(line(rows, x) + chart + cross(rows, x))


def hollow() -> Any:
    """Rings for the points that did not reach their target, else discs."""
    return alt.condition("datum.missed", alt.value(RING), alt.value("circle"))


# Paths of symbols as Vega wants them, -1..1.
RING = "M-1,0A1,1,0,1,1,1,0A1,1,0,1,1,-1,0M-.6,0A.6,.6,0,1,0,.6,0A.6,.6,0,1,0,-.6,0Z"
CROSS = "M-1,-1L1,1M-1,1L1,-1"


def line(rows: list[dict[str, Any]], x: alt.X) -> alt.Chart:
    """The Pareto front against the cost of the menu."""
    return (
        alt.Chart(alt.Data(values=rows))
        .transform_filter("datum['front_' + cost]")
        .transform_calculate(x="datum[cost]")
        .mark_line(color=style.PALETTE[5], strokeWidth=1.5)
        .encode(x=x, y=accuracy(), order="x:Q")
    )


def cross(rows: list[dict[str, Any]], x: alt.X) -> alt.Chart:
    """The chosen point, ranked first."""
    return (
        alt.Chart(alt.Data(values=rows[:1]))
        .transform_calculate(x="datum[cost]")
        .mark_point(
            shape=CROSS, size=120, color="var(--ink)", strokeWidth=2, filled=False
        )
        .encode(x=x, y=accuracy())
    )


def accuracy() -> alt.Y:
    """The axis of a point's validation accuracy."""
    return alt.Y(
        "value:Q",
        title="Validation accuracy",
        scale=alt.Scale(zero=False, padding=10),
        axis=alt.Axis(format=".1%"),
    )


def hyperparameter(names: list[str], words: str) -> alt.Parameter:
    """A menu of hyperparameters; its value is a field of the points, `p0`, `p1` …"""
    fields = [f"p{i}" for i in range(len(names))]
    menu = alt.binding_select(options=fields, labels=names, name=words)
    return alt.param(name="by", value=fields[0], bind=menu)


def against(costs: dict[str, str]) -> tuple[alt.Parameter, alt.X]:
    """A menu of costs (column → words), and the axis of the field `x` that it fills."""
    fields = list(costs)
    menu = alt.binding_select(
        options=fields, labels=[costs[field] for field in fields], name="Cost "
    )
    axis = alt.Axis(format=".2~s", grid=False, labelBound=True)
    scale = alt.Scale(type="log", nice=False, padding=12)
    x = alt.X("x:Q", title="Cost that the menu names", scale=scale, axis=axis)
    return alt.param(name="cost", value=fields[0], bind=menu), x


def fronts(
    chosen: dict[str, Any],
    probability: Callable[[list[dict[str, Any]], str], Sequence[float]],
) -> Any:
    """Accuracy against the cost of a menu; colour: how often a seed is on the front.

    probability: points and a cost → shares.
    """
    rows, names = points(chosen)
    ranked = points_of(chosen)
    for column in COSTS:
        for row, share in zip(rows, probability(ranked, column), strict=True):
            row[f"on_{column}"] = round(float(share), 3)
    cost, x = against(COSTS)
    chart = (
        alt.Chart(alt.Data(values=rows), width="container", height=HEIGHT)
        .transform_calculate(x="datum[cost]", share="datum['on_' + cost]")
        .mark_point(filled=True, size=80)
        .encode(
            x=x,
            y=accuracy(),
            color=alt.Color(
                "share:Q",
                title="Seeds on the front",
                scale=alt.Scale(scheme="blues", domain=[0, 1]),
                legend=alt.Legend(orient="top", format=".0%", gradientLength=180),
            ),
            shape=hollow(),
            tooltip=[
                *tips(names),
                alt.Tooltip("share:Q", title="On the front", format=".0%"),
            ],
        )
        .add_params(cost)
    )
    return finished(line(rows, x) + chart + cross(rows, x))


def effects(chosen: dict[str, Any], means: Sequence[dict[str, Any]]) -> Any:
    """Main effects of the hyperparameter of a menu; pointing tells a point's settings.

    means: `field` (`p0`, `p1` …), `group` (a value), `mean`, `low`, `high` as fractions.
    """
    rows, names = points(chosen)
    by = hyperparameter(names, "Setting ")
    x = alt.X(
        "group:N",
        title=None,
        axis=alt.Axis(labelAngle=0),
        sort=values_of(rows, len(names)),
    )
    dots = (
        alt.Chart(alt.Data(values=rows), width="container", height=HEIGHT)
        .transform_calculate(group="datum[by]")
        .mark_point(filled=True, size=35, color=style.PALETTE[5], opacity=0.5)
        .encode(
            x=x,
            y=accuracy(),
            tooltip=tips(names),
        )
        .add_params(by)
    )
    known = (
        alt.Chart(alt.Data(values=list(means)))
        .transform_filter("datum.field == by")
        .encode(x=x)
    )
    color = style.PALETTE[0]
    wide = {"strokeWidth": 12, "opacity": 0.25}
    bars = known.mark_rule(color=color, **wide).encode(y="low:Q", y2="high:Q")
    dot = known.mark_point(filled=True, size=120, color=color, opacity=1).encode(
        y="mean:Q",
        tooltip=[
            alt.Tooltip("group:N", title="Value"),
            alt.Tooltip("mean:Q", title="Mean", format=".2%"),
            alt.Tooltip("low:Q", title="95 % interval from", format=".2%"),
            alt.Tooltip("high:Q", title="to", format=".2%"),
        ],
    )
    return finished(bars + dots + dot)


def parallel(chosen: dict[str, Any]) -> Any:
    """Parallel coordinates; pointing at a line tells its settings."""
    rows, names = points(chosen)
    ranked = points_of(chosen)
    keys = varied(ranked)
    lowest = min(row["value"] for row in rows)
    span = (max(row["value"] for row in rows) - lowest) or 1.0
    axes = [*names, "validation accuracy"]
    labels = []
    # A row per point, flattened by the chart: one per axis would repeat all settings.
    for row in rows:
        row |= {"axis": list(range(len(axes))), "height": []}
    for i in range(len(names)):
        values = ordered({row[f"p{i}"] for row in rows})
        labels += [
            {"axis": i, "height": n / max(1, len(values) - 1), "text": v}
            for n, v in enumerate(values)
        ]
        for row, height in zip(rows, heights(ranked, keys[i]), strict=True):
            row["height"].append(round(height, 4))
    for row in rows:
        row["height"].append((row["value"] - lowest) / span)
    over = alt.selection_point(
        name="over", fields=["rank"], on="pointerover", empty=False
    )
    words = " : ".join(
        f"datum.value == {i} ? '{escaped(n)}'" for i, n in enumerate(axes)
    )
    axis = alt.Axis(
        values=list(range(len(axes))), labelExpr=f"{words} : ''", title=None, grid=True
    )
    drawn = (
        alt.Chart(alt.Data(values=rows), width="container", height=HEIGHT)
        .transform_flatten(["axis", "height"])
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X(
                "axis:Q", axis=axis, scale=alt.Scale(domain=[-0.1, len(axes) - 0.8])
            ),
            y=alt.Y("height:Q", axis=None),
            detail="rank:N",
            color=alt.Color(
                "value:Q",
                title="Validation accuracy",
                scale=alt.Scale(scheme="viridis"),
                legend=alt.Legend(orient="top", format=".1%", gradientLength=180),
            ),
            opacity=alt.condition(over, alt.value(1), alt.value(0.45)),
            strokeWidth=alt.condition(over, alt.value(4), alt.value(1.6)),
            tooltip=tips(names),
        )
        .add_params(over)
    )
    base = alt.Chart(alt.Data(values=labels)).encode(
        x="axis:Q", y=alt.Y("height:Q", axis=None), text="text:N"
    )
    look = {"align": "left", "dx": 5, "fontSize": 11, "baseline": "middle"}
    # Lines cross the words: the page's colour around each letter keeps them apart.
    around = base.mark_text(**look, stroke="var(--paper)", strokeWidth=5)
    return finished(drawn + around + base.mark_text(**look))


def escaped(name: str) -> str:
    """A string inside a Vega expression: only letters, digits and spaces."""
    return "".join(c if c.isalnum() else " " for c in name)
