"""The points of a study's searches, as the report's figures and tables read them."""

from typing import Any

from labmill.report.text import setting

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
