"""Answers to the questions under `compare`."""

HEADING = "Questions"
POSITION = 30
