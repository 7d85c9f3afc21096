"""The points of a study's searches, as the report's figures and tables read them."""

from typing import Any

from labmill.report.text import ordered, setting

# A search of so few points is told whole by one table, which needs no figure.
FEW = 5


def points_of(chosen: dict[str, Any]) -> list[dict[str, Any]]:
    """The points that ended with an accuracy."""
    return [p for p in chosen["ranking"] if p["validation_accuracy"] is not None]


def varied(points: list[dict[str, Any]]) -> list[str]:
    """The settings that have more than one value among the points."""
    return [
        key
        for key in points[0]["settings"]
        if len({setting(p["settings"][key]) for p in points}) > 1
    ]


def ranks(points: list[dict[str, Any]]) -> dict[str, list[int]]:
    """`validation_accuracy` and each cost → every point's place by it, from 1."""
    found = {}
    for by, sign in RANKED.items():
        order = sorted(range(len(points)), key=lambda i: sign * points[i][by])
        found[by] = [order.index(i) + 1 for i in range(len(points))]
    return found


RANKED = {"validation_accuracy": -1, "seconds": 1, "operations": 1}


def heights(points: list[dict[str, Any]], key: str) -> list[float]:
    """Where the points' lines cross the axis of a setting, 0..1.

    Its values stand at equal distances; points that share one are spread about it by
    their rank, since in a full grid all lines would coincide.
    """
    values = ordered({setting(p["settings"][key]) for p in points})
    width = 0.6 / len(values)
    order = ranks(points)["validation_accuracy"]
    return [
        values.index(setting(p["settings"][key])) / max(1, len(values) - 1)
        + width * (0.5 - (rank - 0.5) / len(points))
        for p, rank in zip(points, order, strict=True)
    ]
