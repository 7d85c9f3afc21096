"""Searches over settings: points, fronts, effects."""

HEADING = "Search"
POSITION = 80
