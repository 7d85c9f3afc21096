"""Accuracy of every variant, which is best, which runs were lost."""

HEADING = "Results"
POSITION = 20
