"""Counted operations against closed formulas."""

HEADING = "Arithmetic"
POSITION = 120
