"""Predictions and mistakes on test images."""

HEADING = "Predictions"
POSITION = 150
