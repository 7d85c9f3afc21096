"""Prune loops, their controls, and influence of single units."""

HEADING = "Pruning"
POSITION = 90
